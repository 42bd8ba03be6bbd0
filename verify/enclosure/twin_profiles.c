/* The precisions: number formats and what is computed in them.  See twin.h. */
#include "twin.h"

#include <float.h>
#include <stddef.h>
#include <string.h>

/* Subnormals are kept in binary64 and binary16; in the formats with binary32's range they may be flushed to 0.
 * binary64's half of the smallest subnormal is not a double: the smallest one stands for it. */
#define BINARY64                                                                                                       \
    {                                                                                                                  \
        "f64", 53, 0x1p-1074, DBL_MAX                                                                                  \
    }
#define BINARY32                                                                                                       \
    {                                                                                                                  \
        "f32", 24, 0x1p-126, 0x1.fffffep127                                                                            \
    }
#define TF32                                                                                                           \
    {                                                                                                                  \
        "tf32", 11, 0x1p-126, 0x1.ffcp127                                                                              \
    }
#define BFLOAT16                                                                                                       \
    {                                                                                                                  \
        "bf16", 8, 0x1p-126, 0x1.fep127                                                                                \
    }
#define BINARY16                                                                                                       \
    {                                                                                                                  \
        "f16", 11, 0x1p-25, 65504                                                                                      \
    }

const twin_profile twin_profiles[] = {
    {"f64", BINARY64, BINARY64, 4, false, NULL},  {"f32", BINARY32, BINARY32, 4, false, NULL},
    {"tf32", TF32, BINARY32, 4, false, NULL},     {"bf16", BFLOAT16, BINARY32, 4, false, NULL},
    {"f16", BINARY16, BINARY32, 4, false, NULL}, {NULL, BINARY64, BINARY64, 0, false, NULL},
};

const twin_profile *twin_profile_find(const char *name)
{
    for (const twin_profile *p = twin_profiles; p->name; p++)
        if (strcmp(p->name, name) == 0) return p;
    return NULL;
}

const twin_profile *twin_profile_of(const twin_profile *p, const char *tensor)
{
    for (const twin_profile *o = p->tensor; o && o->name; o++)
        if (strcmp(o->name, tensor) == 0) return o;
    return strncmp(tensor, "d_", 2) == 0 ? twin_profile_of(p, tensor + 2) : p;
}
