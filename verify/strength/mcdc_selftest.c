/* Planted for mcdc.sh --selftest: what llvm-cov and mcdc.py must say of each condition stands beside it. */
#include <stddef.h>

#define OUTSIDE(x) ((x) < 0 || (x) > 9) /* shown: (x) < 0; open: (x) > 9 */

static int planted(int a, int b, const int *c)
{
    if (a == 1 || b == 1) return 1;         /* shown: a == 1; open: b == 1 */
    if (a > 5) return 2;                    /* shown: a > 5 */
    if (b > 5)                              /* open: b > 5 */
        return 3;
    if (c != NULL && (*c == 7 || a == 3))   /* shown: c != NULL, *c == 7, a == 3 */
        return 4;
    return OUTSIDE(a) ? 5 : 6;
}

int main(void)
{
    const int seven = 7, eight = 8;
    int sum = planted(1, 0, NULL) + planted(6, 0, NULL) + planted(0, 0, NULL);
    sum += planted(2, 0, &seven) + planted(2, 0, &eight) + planted(3, 0, &eight) + planted(-1, 0, NULL);
    return sum == 1 + 2 + 6 + 4 + 6 + 4 + 5 ? 0 : 1; /* open: sum == 1 + 2 + 6 + 4 + 6 + 4 + 5 */
}
