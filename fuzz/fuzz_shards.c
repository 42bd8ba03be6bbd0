/* The index of a sharded safetensors file on arbitrary bytes: what is accepted names files beside it, each tensor once. */
#include "fuzz.h"
#include "shards.h"

#include <fcntl.h>
#include <stdbool.h>

/* The scratch file under the name of an index. */
static const char *index_path(void)
{
    static char path[100];
    if (path[0] == '\0') snprintf(path, sizeof path, "%s.safetensors.index.json", scratch_file());
    return path;
}

static void write_scratch(const uint8_t *data, size_t size)
{
    const int fd = open(index_path(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) != 0) {
        fprintf(stderr, "the scratch file cannot be written\n");
        exit(3);
    }
}

/* A line of printable ASCII that begins with so much of the index's path. */
static void check_line(const char *err, size_t n)
{
    if (strncmp(err, index_path(), n) != 0) FINDING("an error that does not begin with the file's name: %s", err);
    for (const char *s = err; *s != '\0'; s++)
        if (*s < 0x20 || *s > 0x7e) FINDING("an error with a byte %d in it", *s);
}

/* The folder is the index's own, and the name is a .safetensors file's: it leads nowhere else. */
static void check_shard(const char *path)
{
    const char *index = index_path(), *slash = strrchr(index, '/');
    const size_t folder = (size_t)(slash - index) + 1, n = strlen(path);
    if (strncmp(path, index, folder) != 0 || strchr(path + folder, '/') != NULL)
        FINDING("a shard in another folder: %s", path);
    if (n < folder + 13 || strcmp(path + n - 12, ".safetensors") != 0) FINDING("a shard of another kind: %s", path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shard_index x;
    char err[TENSOR_ERROR] = "";
    write_scratch(data, size);
    const int result = shards_read(index_path(), &x, err, sizeof err);
    tensor_file f; /* its shards are not there */
    char missing[TENSOR_ERROR] = "";
    if (tensor_file_read(index_path(), &f, missing, sizeof missing) == 0) FINDING("files that are not there were read");
    check_line(missing, (size_t)(strrchr(index_path(), '/') - index_path()) + 1);
    unlink(index_path());
    if (result != 0) {
        check_line(err, strlen(index_path()));
        if (x.path != NULL || x.shard != NULL || x.tensor != NULL) FINDING("a refused index left something");
        return 0;
    }
    size_t tensors = 0;
    if (x.shards == 0 || x.shards > SHARDS) FINDING("%zu shards", x.shards);
    for (size_t i = 0; i < x.shards; i++) {
        check_shard(x.shard[i]);
        if (i > 0 && strcmp(x.shard[i - 1], x.shard[i]) >= 0) FINDING("shards out of order");
        if (shards_count(&x, i) == 0) FINDING("a shard without tensors");
        tensors += shards_count(&x, i);
    }
    if (tensors != x.tensors) FINDING("%zu tensors in the shards, %zu in the index", tensors, x.tensors);
    for (size_t i = 0; i < x.tensors; i++) {
        if (i > 0 && strcmp(x.tensor[i - 1].name, x.tensor[i].name) >= 0) FINDING("tensors out of order");
        for (size_t k = 0; k < x.shards; k++)
            if (shards_has(&x, k, x.tensor[i].name) != (k == x.tensor[i].shard)) FINDING("a tensor in another shard");
    }
    shards_clear(&x);
    return 0;
}
