/* The layouts that headers have, which readers of them give (safetensors_any.c, npy_any.c): any, of TENSORS tensors of any names, types,
 * shapes and places; or a header is refused.  A header has HEAD bytes at most, a file any size, and its content is of the given FORMAT. */
#ifndef TENSORS
#define TENSORS 2
#endif
#ifndef FILE_LEAST /* bytes */
#define FILE_LEAST 0
#endif
#ifndef FILE_MOST
#define FILE_MOST (LLONG_MAX - 1)
#endif
#ifndef ANY_FORTRAN /* may elements lie in its order? */
#define ANY_FORTRAN 1
#endif
#ifndef ANY_RANK
#define ANY_RANK TENSOR_RANK
#endif

static void any_place(tensor_place *t)
{
    Frama_C_make_unknown(t->dtype_name, sizeof t->dtype_name - 1);
    t->known = Frama_C_nondet(0, 1);
    t->swap = Frama_C_nondet(0, 1);
    t->fortran = Frama_C_nondet(0, ANY_FORTRAN);
    t->dtype = (tensor_dtype)Frama_C_interval(TENSOR_F64, TENSOR_I64);
    t->rank = Frama_C_size_t_interval(0, ANY_RANK);
    t->count = Frama_C_size_t_interval(0, SIZE_MAX);
    t->begin = Frama_C_size_t_interval(0, SIZE_MAX);
    t->end = Frama_C_size_t_interval(0, SIZE_MAX);
    for (size_t k = 0; k < TENSOR_RANK; k++) t->dim[k] = Frama_C_size_t_interval(0, SIZE_MAX);
}

/* Any layout of `tensors` tensors: of any names, types, shapes and places. */
static int any_layout(tensor_layout *l, size_t tensors, char *err, size_t errlen)
{
    l->t = calloc(tensors + 1, sizeof *l->t);
    if (!l->t) return any_message(err, errlen);
    for (size_t i = 0; i < tensors; i++) {
        tensor_place *t = &l->t[i];
        t->name = any_copy("");
        if (!t->name) {
            tensor_layout_clear(l);
            return any_message(err, errlen);
        }
        l->tensors++;
        any_place(t);
    }
    return 0;
}

/* A reader refuses the header, asks for more of it, or has the layout. */
static int any_header(const void *head, size_t have, size_t *need, tensor_layout *l, size_t tensors, char *err,
                      size_t errlen)
{
    any_bytes(head, have);
    *l = (tensor_layout){0};
    if (Frama_C_nondet(0, 1)) return any_message(err, errlen);
    *need = (size_t)Frama_C_interval_split(0, HEAD);
    return *need <= have ? any_layout(l, tensors, err, errlen) : 0;
}

static int any_layout_npy(const char *label, const char *name, const void *head, size_t have, size_t n, size_t *need,
                          tensor_layout *l, char *err, size_t errlen)
{
    (void)n;
    any_read(label);
    any_read(name);
    return any_header(head, have, need, l, 1, err, errlen);
}
#define tensor_layout_npy any_layout_npy

static int any_head(const char *label, const void *head, size_t have, size_t n, size_t *need, tensor_layout *l,
                    tensor_file *metadata, char *err, size_t errlen)
{
    (void)n;
    (void)metadata;
    any_read(label);
    return any_header(head, have, need, l, TENSORS, err, errlen);
}
#define tensor_head_safetensors any_head
#define tensor_layout_safetensors(label, head, have, n, need, l, err, errlen)                                          \
    (any_read(label), any_header((head), (have), (need), (l), TENSORS, (err), (errlen)))
#define tensor_format_of(head, n) (any_bytes((head), (n)), FORMAT)
#define tensor_stem(path)         any_copy(path)
#define regular_file_open(path, n, err, errlen)                                                                        \
    (any_read(path), *(n) = Frama_C_size_t_interval(FILE_LEAST, FILE_MOST), any_message((err), (errlen)),              \
     any_descriptor())
