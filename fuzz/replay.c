/* Runs a target over files, without a fuzzing engine: for gcc, for Valgrind, for `make check`.
 *
 *   fuzz_npy FILE...
 */
#include "fuzz.h"

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        unsigned char *bytes;
        size_t n;
        char err[TENSOR_ERROR];
        if (whole_file_read(argv[i], &bytes, &n, err, sizeof err) != 0) {
            fprintf(stderr, "%s\n", err);
            return 3;
        }
        uint8_t *exact = malloc(n ? n : 1); /* no byte more, so that a sanitizer sees one read too far */
        if (exact == NULL) return 3;
        memcpy(exact, bytes, n);
        free(bytes);
        fprintf(stderr, "%s\n", argv[i]); /* before it runs: the last name is the one that crashes */
        LLVMFuzzerTestOneInput(exact, n);
        free(exact);
    }
    printf("replayed %d inputs\n", argc - 1);
    return 0;
}
