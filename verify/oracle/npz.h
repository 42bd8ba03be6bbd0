/* What the two readers of .npz share: tensors into memory (npy.c), and rows in blocks (dump.c). */
#ifndef SMOEREF_ORACLE_NPZ_H
#define SMOEREF_ORACLE_NPZ_H

#include <stdint.h>
#include <zip.h>

/* Opens an archive read-only and takes over the source, NULL if there was none (and then *problem says why).  NULL on
 * failure, with one line in err. */
zip_t *npz_open(const char *label, zip_source_t *source, zip_error_t *problem, char *err, size_t errlen);
/* What is said of entry i, and whether it can be: a name in .npy, stored or deflated, not encrypted, no larger than its
 * compressed size allows.  *compressed adds up the compressed sizes, which may not exceed n, the archive's.  `limit` is
 * the largest size of a deflated entry.  0, or -1 with one line in err. */
int npz_entry(const char *label, zip_t *archive, zip_uint64_t i, uint64_t *compressed, uint64_t n, uint64_t limit,
              zip_stat_t *st, char *err, size_t errlen);
/* "w1" of "w1.npy".  malloc'd. */
char *npz_tensor_name(const char *entry);

#endif
