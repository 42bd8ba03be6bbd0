/* Files, as a reader may find them.  What is assumed: a file can be opened or not; it is of FILE_SIZE bytes when it is looked at, and
 * of any kind; reading gives -1 with any errno, or up to as many bytes as were asked for, which are any.  The
 * bytes after those become any too: that none of them is taken for one of the file is not looked at. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int any_descriptor(void)
{
    errno = Frama_C_interval(1, 133);
    return Frama_C_interval(-1, 1023);
}

static int any_stat(int fd, struct stat *st)
{
    (void)fd;
    errno = Frama_C_interval(1, 133);
    if (Frama_C_nondet(0, 1)) return -1;
    Frama_C_make_unknown((char *)st, sizeof *st);
    st->st_size = FILE_SIZE;
    return 0;
}

static ssize_t any_piece(int fd, void *to, size_t n)
{
    (void)fd;
    errno = Frama_C_interval(1, 133);
    if (n > 0) Frama_C_make_unknown(to, n);
#ifdef ANY_PIECES /* of each length up to this apart */
    if (n <= ANY_PIECES) {
        const int got = Frama_C_interval_split(-1, ANY_PIECES);
        return got <= (int)n ? got : -1;
    }
#ifdef ANY_LARGE /* a longer one fails, is empty, or has all or all but one of its bytes */
    const int how = Frama_C_interval_split(-1, 2);
    return how < 1 ? how : (ssize_t)n - (how - 1);
#endif
#endif
    return Frama_C_long_interval(-1, (long)n);
}

static ssize_t any_piece_at(int fd, void *to, size_t n, off_t at)
{
    (void)at;
    return any_piece(fd, to, n);
}

#define open(...) any_descriptor()
#define close(fd) Frama_C_nondet(-1, 0)
#define fstat     any_stat
#define read      any_piece
#define pread     any_piece_at
