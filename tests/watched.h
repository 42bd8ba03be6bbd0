/* Made by watched.awk from the headers of ref/. */

smoe_status smoe_softmax(size_t N, const double *z, double *p)
{
    static watched the_function = {.name = "smoe_softmax"};
    smoe_status (*real_one)(size_t N, const double *z, double *p);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, z, p);
    array_of the_array[] = {
        {"z", 1, IS_REAL(*z), sizeof *z, 0, &z},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], z ? (size_t)(N) : 0);
        at_least(&the_array[1], p ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, z, p));
    }
    return the_function.status;
}

smoe_status smoe_softmax_vjp(size_t N, const double *p, const double *dp, double *dz)
{
    static watched the_function = {.name = "smoe_softmax_vjp"};
    smoe_status (*real_one)(size_t N, const double *p, const double *dp, double *dz);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, p, dp, dz);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"dp", 1, IS_REAL(*dp), sizeof *dp, 0, &dp},
        {"dz", 0, IS_REAL(*dz), sizeof *dz, 0, &dz},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(N) : 0);
        at_least(&the_array[1], dp ? (size_t)(N) : 0);
        at_least(&the_array[2], dz ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, p, dp, dz));
    }
    return the_function.status;
}

smoe_status smoe_logsumexp(size_t N, const double *z, double *lse)
{
    static watched the_function = {.name = "smoe_logsumexp"};
    smoe_status (*real_one)(size_t N, const double *z, double *lse);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, z, lse);
    array_of the_array[] = {
        {"z", 1, IS_REAL(*z), sizeof *z, 0, &z},
        {"lse", 0, IS_REAL(*lse), sizeof *lse, 0, &lse},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], z ? (size_t)(N) : 0);
        at_least(&the_array[1], lse ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, z, lse));
    }
    return the_function.status;
}

smoe_status smoe_logsumexp_vjp(size_t N, const double *z, double lse, double dlse, double *dz)
{
    static watched the_function = {.name = "smoe_logsumexp_vjp"};
    smoe_status (*real_one)(size_t N, const double *z, double lse, double dlse, double *dz);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, z, lse, dlse, dz);
    array_of the_array[] = {
        {"z", 1, IS_REAL(*z), sizeof *z, 0, &z},
        {"dz", 0, IS_REAL(*dz), sizeof *dz, 0, &dz},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"lse", A_NUMBER, 0, &lse},
        {"dlse", A_NUMBER, 0, &dlse},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], z ? (size_t)(N) : 0);
        at_least(&the_array[1], dz ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, z, lse, dlse, dz));
    }
    return the_function.status;
}

smoe_status smoe_norm(size_t d, const double *x, double *norm)
{
    static watched the_function = {.name = "smoe_norm"};
    smoe_status (*real_one)(size_t d, const double *x, double *norm);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(d, x, norm);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"norm", 0, IS_REAL(*norm), sizeof *norm, 0, &norm},
    };
    const knob_of the_knob[] = {
        {"d", A_SIZE, 0, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(d) : 0);
        at_least(&the_array[1], norm ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(d, x, norm));
    }
    return the_function.status;
}

smoe_status smoe_norm_vjp(size_t d, const double *x, double norm, double dnorm, double *dx)
{
    static watched the_function = {.name = "smoe_norm_vjp"};
    smoe_status (*real_one)(size_t d, const double *x, double norm, double dnorm, double *dx);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(d, x, norm, dnorm, dx);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
    };
    const knob_of the_knob[] = {
        {"d", A_SIZE, 0, &d},
        {"norm", A_NUMBER, 0, &norm},
        {"dnorm", A_NUMBER, 0, &dnorm},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(d) : 0);
        at_least(&the_array[1], dx ? (size_t)(d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(d, x, norm, dnorm, dx));
    }
    return the_function.status;
}

smoe_status smoe_topk(size_t N, size_t K, const double *s, size_t *index, double *value, double *margin)
{
    static watched the_function = {.name = "smoe_topk"};
    smoe_status (*real_one)(size_t N, size_t K, const double *s, size_t *index, double *value, double *margin);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, s, index, value, margin);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], value ? (size_t)(K) : 0);
        at_least(&the_array[3], margin ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, s, index, value, margin));
    }
    return the_function.status;
}

smoe_status smoe_topk_vjp(size_t N, size_t K, const size_t *index, const double *dvalue, double *ds)
{
    static watched the_function = {.name = "smoe_topk_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, const size_t *index, const double *dvalue, double *ds);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, index, dvalue, ds);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"dvalue", 1, IS_REAL(*dvalue), sizeof *dvalue, 0, &dvalue},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(K) : 0);
        at_least(&the_array[1], dvalue ? (size_t)(K) : 0);
        at_least(&the_array[2], ds ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, index, dvalue, ds));
    }
    return the_function.status;
}

smoe_status smoe_expert_mlp(smoe_activation phi, size_t T, size_t d, size_t h, const double *x, const double *w1, const double *b1, const double *w2, const double *b2, double *a, double *u, double *y)
{
    static watched the_function = {.name = "smoe_expert_mlp"};
    smoe_status (*real_one)(smoe_activation phi, size_t T, size_t d, size_t h, const double *x, const double *w1, const double *b1, const double *w2, const double *b2, double *a, double *u, double *y);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(phi, T, d, h, x, w1, b1, w2, b2, a, u, y);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"b1", 1, IS_REAL(*b1), sizeof *b1, 0, &b1},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"b2", 1, IS_REAL(*b2), sizeof *b2, 0, &b2},
        {"a", 0, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 0, IS_REAL(*u), sizeof *u, 0, &u},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
    };
    const knob_of the_knob[] = {
        {"phi", AN_ENUMERATOR, 0, &phi},
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 8, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(h*d) : 0);
        at_least(&the_array[2], b1 ? (size_t)(h) : 0);
        at_least(&the_array[3], w2 ? (size_t)(d*h) : 0);
        at_least(&the_array[4], b2 ? (size_t)(d) : 0);
        at_least(&the_array[5], a ? (size_t)(T*h) : 0);
        at_least(&the_array[6], u ? (size_t)(T*h) : 0);
        at_least(&the_array[7], y ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(phi, T, d, h, x, w1, b1, w2, b2, a, u, y));
    }
    return the_function.status;
}

smoe_status smoe_expert_mlp_vjp(smoe_activation phi, size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w2, const double *a, const double *u, const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da)
{
    static watched the_function = {.name = "smoe_expert_mlp_vjp"};
    smoe_status (*real_one)(smoe_activation phi, size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w2, const double *a, const double *u, const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(phi, T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"a", 1, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dw1", 0, IS_REAL(*dw1), sizeof *dw1, 0, &dw1},
        {"db1", 0, IS_REAL(*db1), sizeof *db1, 0, &db1},
        {"dw2", 0, IS_REAL(*dw2), sizeof *dw2, 0, &dw2},
        {"db2", 0, IS_REAL(*db2), sizeof *db2, 0, &db2},
        {"da", 0, IS_REAL(*da), sizeof *da, 0, &da},
    };
    const knob_of the_knob[] = {
        {"phi", AN_ENUMERATOR, 0, &phi},
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 12, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(h*d) : 0);
        at_least(&the_array[2], w2 ? (size_t)(d*h) : 0);
        at_least(&the_array[3], a ? (size_t)(T*h) : 0);
        at_least(&the_array[4], u ? (size_t)(T*h) : 0);
        at_least(&the_array[5], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[6], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[7], dw1 ? (size_t)(h*d) : 0);
        at_least(&the_array[8], db1 ? (size_t)(h) : 0);
        at_least(&the_array[9], dw2 ? (size_t)(d*h) : 0);
        at_least(&the_array[10], db2 ? (size_t)(d) : 0);
        at_least(&the_array[11], da ? (size_t)(T*h) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(phi, T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da));
    }
    return the_function.status;
}

smoe_status smoe_expert_mlp_vjp_acc(smoe_activation phi, size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w2, const double *a, const double *u, const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da)
{
    static watched the_function = {.name = "smoe_expert_mlp_vjp_acc"};
    smoe_status (*real_one)(smoe_activation phi, size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w2, const double *a, const double *u, const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(phi, T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"a", 1, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dw1", 0, IS_REAL(*dw1), sizeof *dw1, 0, &dw1},
        {"db1", 0, IS_REAL(*db1), sizeof *db1, 0, &db1},
        {"dw2", 0, IS_REAL(*dw2), sizeof *dw2, 0, &dw2},
        {"db2", 0, IS_REAL(*db2), sizeof *db2, 0, &db2},
        {"da", 0, IS_REAL(*da), sizeof *da, 0, &da},
    };
    const knob_of the_knob[] = {
        {"phi", AN_ENUMERATOR, 0, &phi},
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 12, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(h*d) : 0);
        at_least(&the_array[2], w2 ? (size_t)(d*h) : 0);
        at_least(&the_array[3], a ? (size_t)(T*h) : 0);
        at_least(&the_array[4], u ? (size_t)(T*h) : 0);
        at_least(&the_array[5], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[6], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[7], dw1 ? (size_t)(h*d) : 0);
        at_least(&the_array[8], db1 ? (size_t)(h) : 0);
        at_least(&the_array[9], dw2 ? (size_t)(d*h) : 0);
        at_least(&the_array[10], db2 ? (size_t)(d) : 0);
        at_least(&the_array[11], da ? (size_t)(T*h) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(phi, T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da));
    }
    return the_function.status;
}

smoe_status smoe_expert_relu(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *b1, const double *w2, const double *b2, double *a, double *u, double *y)
{
    static watched the_function = {.name = "smoe_expert_relu"};
    smoe_status (*real_one)(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *b1, const double *w2, const double *b2, double *a, double *u, double *y);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, h, x, w1, b1, w2, b2, a, u, y);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"b1", 1, IS_REAL(*b1), sizeof *b1, 0, &b1},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"b2", 1, IS_REAL(*b2), sizeof *b2, 0, &b2},
        {"a", 0, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 0, IS_REAL(*u), sizeof *u, 0, &u},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 8, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(h*d) : 0);
        at_least(&the_array[2], b1 ? (size_t)(h) : 0);
        at_least(&the_array[3], w2 ? (size_t)(d*h) : 0);
        at_least(&the_array[4], b2 ? (size_t)(d) : 0);
        at_least(&the_array[5], a ? (size_t)(T*h) : 0);
        at_least(&the_array[6], u ? (size_t)(T*h) : 0);
        at_least(&the_array[7], y ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, h, x, w1, b1, w2, b2, a, u, y));
    }
    return the_function.status;
}

smoe_status smoe_expert_relu_vjp(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w2, const double *a, const double *u, const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da)
{
    static watched the_function = {.name = "smoe_expert_relu_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w2, const double *a, const double *u, const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"a", 1, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dw1", 0, IS_REAL(*dw1), sizeof *dw1, 0, &dw1},
        {"db1", 0, IS_REAL(*db1), sizeof *db1, 0, &db1},
        {"dw2", 0, IS_REAL(*dw2), sizeof *dw2, 0, &dw2},
        {"db2", 0, IS_REAL(*db2), sizeof *db2, 0, &db2},
        {"da", 0, IS_REAL(*da), sizeof *da, 0, &da},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 12, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(h*d) : 0);
        at_least(&the_array[2], w2 ? (size_t)(d*h) : 0);
        at_least(&the_array[3], a ? (size_t)(T*h) : 0);
        at_least(&the_array[4], u ? (size_t)(T*h) : 0);
        at_least(&the_array[5], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[6], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[7], dw1 ? (size_t)(h*d) : 0);
        at_least(&the_array[8], db1 ? (size_t)(h) : 0);
        at_least(&the_array[9], dw2 ? (size_t)(d*h) : 0);
        at_least(&the_array[10], db2 ? (size_t)(d) : 0);
        at_least(&the_array[11], da ? (size_t)(T*h) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da));
    }
    return the_function.status;
}

smoe_status smoe_expert_gelu(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *b1, const double *w2, const double *b2, double *a, double *u, double *y)
{
    static watched the_function = {.name = "smoe_expert_gelu"};
    smoe_status (*real_one)(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *b1, const double *w2, const double *b2, double *a, double *u, double *y);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, h, x, w1, b1, w2, b2, a, u, y);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"b1", 1, IS_REAL(*b1), sizeof *b1, 0, &b1},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"b2", 1, IS_REAL(*b2), sizeof *b2, 0, &b2},
        {"a", 0, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 0, IS_REAL(*u), sizeof *u, 0, &u},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 8, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(h*d) : 0);
        at_least(&the_array[2], b1 ? (size_t)(h) : 0);
        at_least(&the_array[3], w2 ? (size_t)(d*h) : 0);
        at_least(&the_array[4], b2 ? (size_t)(d) : 0);
        at_least(&the_array[5], a ? (size_t)(T*h) : 0);
        at_least(&the_array[6], u ? (size_t)(T*h) : 0);
        at_least(&the_array[7], y ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, h, x, w1, b1, w2, b2, a, u, y));
    }
    return the_function.status;
}

smoe_status smoe_expert_gelu_vjp(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w2, const double *a, const double *u, const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da)
{
    static watched the_function = {.name = "smoe_expert_gelu_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w2, const double *a, const double *u, const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"a", 1, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dw1", 0, IS_REAL(*dw1), sizeof *dw1, 0, &dw1},
        {"db1", 0, IS_REAL(*db1), sizeof *db1, 0, &db1},
        {"dw2", 0, IS_REAL(*dw2), sizeof *dw2, 0, &dw2},
        {"db2", 0, IS_REAL(*db2), sizeof *db2, 0, &db2},
        {"da", 0, IS_REAL(*da), sizeof *da, 0, &da},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 12, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(h*d) : 0);
        at_least(&the_array[2], w2 ? (size_t)(d*h) : 0);
        at_least(&the_array[3], a ? (size_t)(T*h) : 0);
        at_least(&the_array[4], u ? (size_t)(T*h) : 0);
        at_least(&the_array[5], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[6], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[7], dw1 ? (size_t)(h*d) : 0);
        at_least(&the_array[8], db1 ? (size_t)(h) : 0);
        at_least(&the_array[9], dw2 ? (size_t)(d*h) : 0);
        at_least(&the_array[10], db2 ? (size_t)(d) : 0);
        at_least(&the_array[11], da ? (size_t)(T*h) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da));
    }
    return the_function.status;
}

smoe_status smoe_expert_gelu_tanh(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *b1, const double *w2, const double *b2, double *a, double *u, double *y)
{
    static watched the_function = {.name = "smoe_expert_gelu_tanh"};
    smoe_status (*real_one)(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *b1, const double *w2, const double *b2, double *a, double *u, double *y);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, h, x, w1, b1, w2, b2, a, u, y);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"b1", 1, IS_REAL(*b1), sizeof *b1, 0, &b1},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"b2", 1, IS_REAL(*b2), sizeof *b2, 0, &b2},
        {"a", 0, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 0, IS_REAL(*u), sizeof *u, 0, &u},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 8, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(h*d) : 0);
        at_least(&the_array[2], b1 ? (size_t)(h) : 0);
        at_least(&the_array[3], w2 ? (size_t)(d*h) : 0);
        at_least(&the_array[4], b2 ? (size_t)(d) : 0);
        at_least(&the_array[5], a ? (size_t)(T*h) : 0);
        at_least(&the_array[6], u ? (size_t)(T*h) : 0);
        at_least(&the_array[7], y ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, h, x, w1, b1, w2, b2, a, u, y));
    }
    return the_function.status;
}

smoe_status smoe_expert_gelu_tanh_vjp(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w2, const double *a, const double *u, const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da)
{
    static watched the_function = {.name = "smoe_expert_gelu_tanh_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w2, const double *a, const double *u, const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"a", 1, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dw1", 0, IS_REAL(*dw1), sizeof *dw1, 0, &dw1},
        {"db1", 0, IS_REAL(*db1), sizeof *db1, 0, &db1},
        {"dw2", 0, IS_REAL(*dw2), sizeof *dw2, 0, &dw2},
        {"db2", 0, IS_REAL(*db2), sizeof *db2, 0, &db2},
        {"da", 0, IS_REAL(*da), sizeof *da, 0, &da},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 12, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(h*d) : 0);
        at_least(&the_array[2], w2 ? (size_t)(d*h) : 0);
        at_least(&the_array[3], a ? (size_t)(T*h) : 0);
        at_least(&the_array[4], u ? (size_t)(T*h) : 0);
        at_least(&the_array[5], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[6], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[7], dw1 ? (size_t)(h*d) : 0);
        at_least(&the_array[8], db1 ? (size_t)(h) : 0);
        at_least(&the_array[9], dw2 ? (size_t)(d*h) : 0);
        at_least(&the_array[10], db2 ? (size_t)(d) : 0);
        at_least(&the_array[11], da ? (size_t)(T*h) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da));
    }
    return the_function.status;
}

smoe_status smoe_expert_swiglu(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w3, const double *w2, double *a, double *v, double *u, double *y)
{
    static watched the_function = {.name = "smoe_expert_swiglu"};
    smoe_status (*real_one)(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w3, const double *w2, double *a, double *v, double *u, double *y);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, h, x, w1, w3, w2, a, v, u, y);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"w3", 1, IS_REAL(*w3), sizeof *w3, 0, &w3},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"a", 0, IS_REAL(*a), sizeof *a, 0, &a},
        {"v", 0, IS_REAL(*v), sizeof *v, 0, &v},
        {"u", 0, IS_REAL(*u), sizeof *u, 0, &u},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 8, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(h*d) : 0);
        at_least(&the_array[2], w3 ? (size_t)(h*d) : 0);
        at_least(&the_array[3], w2 ? (size_t)(d*h) : 0);
        at_least(&the_array[4], a ? (size_t)(T*h) : 0);
        at_least(&the_array[5], v ? (size_t)(T*h) : 0);
        at_least(&the_array[6], u ? (size_t)(T*h) : 0);
        at_least(&the_array[7], y ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, h, x, w1, w3, w2, a, v, u, y));
    }
    return the_function.status;
}

smoe_status smoe_expert_swiglu_vjp(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w3, const double *w2, const double *a, const double *v, const double *u, const double *dy, double *dx, double *dw1, double *dw3, double *dw2, double *da, double *dv)
{
    static watched the_function = {.name = "smoe_expert_swiglu_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t h, const double *x, const double *w1, const double *w3, const double *w2, const double *a, const double *v, const double *u, const double *dy, double *dx, double *dw1, double *dw3, double *dw2, double *da, double *dv);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, h, x, w1, w3, w2, a, v, u, dy, dx, dw1, dw3, dw2, da, dv);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"w3", 1, IS_REAL(*w3), sizeof *w3, 0, &w3},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"a", 1, IS_REAL(*a), sizeof *a, 0, &a},
        {"v", 1, IS_REAL(*v), sizeof *v, 0, &v},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dw1", 0, IS_REAL(*dw1), sizeof *dw1, 0, &dw1},
        {"dw3", 0, IS_REAL(*dw3), sizeof *dw3, 0, &dw3},
        {"dw2", 0, IS_REAL(*dw2), sizeof *dw2, 0, &dw2},
        {"da", 0, IS_REAL(*da), sizeof *da, 0, &da},
        {"dv", 0, IS_REAL(*dv), sizeof *dv, 0, &dv},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 14, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(h*d) : 0);
        at_least(&the_array[2], w3 ? (size_t)(h*d) : 0);
        at_least(&the_array[3], w2 ? (size_t)(d*h) : 0);
        at_least(&the_array[4], a ? (size_t)(T*h) : 0);
        at_least(&the_array[5], v ? (size_t)(T*h) : 0);
        at_least(&the_array[6], u ? (size_t)(T*h) : 0);
        at_least(&the_array[7], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[8], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[9], dw1 ? (size_t)(h*d) : 0);
        at_least(&the_array[10], dw3 ? (size_t)(h*d) : 0);
        at_least(&the_array[11], dw2 ? (size_t)(d*h) : 0);
        at_least(&the_array[12], da ? (size_t)(T*h) : 0);
        at_least(&the_array[13], dv ? (size_t)(T*h) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, h, x, w1, w3, w2, a, v, u, dy, dx, dw1, dw3, dw2, da, dv));
    }
    return the_function.status;
}

smoe_status smoe_expert_keyvalue(size_t T, size_t d, size_t h, const double *x, const double *keys, const double *values, double *a, double *u, double *y)
{
    static watched the_function = {.name = "smoe_expert_keyvalue"};
    smoe_status (*real_one)(size_t T, size_t d, size_t h, const double *x, const double *keys, const double *values, double *a, double *u, double *y);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, h, x, keys, values, a, u, y);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"keys", 1, IS_REAL(*keys), sizeof *keys, 0, &keys},
        {"values", 1, IS_REAL(*values), sizeof *values, 0, &values},
        {"a", 0, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 0, IS_REAL(*u), sizeof *u, 0, &u},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], keys ? (size_t)(d*h) : 0);
        at_least(&the_array[2], values ? (size_t)(h*d) : 0);
        at_least(&the_array[3], a ? (size_t)(T*h) : 0);
        at_least(&the_array[4], u ? (size_t)(T*h) : 0);
        at_least(&the_array[5], y ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, h, x, keys, values, a, u, y));
    }
    return the_function.status;
}

smoe_status smoe_expert_keyvalue_vjp(size_t T, size_t d, size_t h, const double *x, const double *keys, const double *values, const double *a, const double *u, const double *dy, double *dx, double *dkeys, double *dvalues, double *da)
{
    static watched the_function = {.name = "smoe_expert_keyvalue_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t h, const double *x, const double *keys, const double *values, const double *a, const double *u, const double *dy, double *dx, double *dkeys, double *dvalues, double *da);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, h, x, keys, values, a, u, dy, dx, dkeys, dvalues, da);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"keys", 1, IS_REAL(*keys), sizeof *keys, 0, &keys},
        {"values", 1, IS_REAL(*values), sizeof *values, 0, &values},
        {"a", 1, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dkeys", 0, IS_REAL(*dkeys), sizeof *dkeys, 0, &dkeys},
        {"dvalues", 0, IS_REAL(*dvalues), sizeof *dvalues, 0, &dvalues},
        {"da", 0, IS_REAL(*da), sizeof *da, 0, &da},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 10, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], keys ? (size_t)(d*h) : 0);
        at_least(&the_array[2], values ? (size_t)(h*d) : 0);
        at_least(&the_array[3], a ? (size_t)(T*h) : 0);
        at_least(&the_array[4], u ? (size_t)(T*h) : 0);
        at_least(&the_array[5], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[6], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[7], dkeys ? (size_t)(d*h) : 0);
        at_least(&the_array[8], dvalues ? (size_t)(h*d) : 0);
        at_least(&the_array[9], da ? (size_t)(T*h) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, h, x, keys, values, a, u, dy, dx, dkeys, dvalues, da));
    }
    return the_function.status;
}

smoe_status smoe_gate_linear(size_t T, size_t d, size_t N, const double *x, const double *wr, const double *br, double *r)
{
    static watched the_function = {.name = "smoe_gate_linear"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, const double *x, const double *wr, const double *br, double *r);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, x, wr, br, r);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"wr", 1, IS_REAL(*wr), sizeof *wr, 0, &wr},
        {"br", 1, IS_REAL(*br), sizeof *br, 0, &br},
        {"r", 0, IS_REAL(*r), sizeof *r, 0, &r},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], wr ? (size_t)(N*d) : 0);
        at_least(&the_array[2], br ? (size_t)(N) : 0);
        at_least(&the_array[3], r ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, x, wr, br, r));
    }
    return the_function.status;
}

smoe_status smoe_gate_linear_vjp(size_t T, size_t d, size_t N, const double *x, const double *wr, const double *dr, double *dx, double *dwr, double *dbr)
{
    static watched the_function = {.name = "smoe_gate_linear_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, const double *x, const double *wr, const double *dr, double *dx, double *dwr, double *dbr);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, x, wr, dr, dx, dwr, dbr);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"wr", 1, IS_REAL(*wr), sizeof *wr, 0, &wr},
        {"dr", 1, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dwr", 0, IS_REAL(*dwr), sizeof *dwr, 0, &dwr},
        {"dbr", 0, IS_REAL(*dbr), sizeof *dbr, 0, &dbr},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], wr ? (size_t)(N*d) : 0);
        at_least(&the_array[2], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[3], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[4], dwr ? (size_t)(N*d) : 0);
        at_least(&the_array[5], dbr ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, x, wr, dr, dx, dwr, dbr));
    }
    return the_function.status;
}

smoe_status smoe_weights_topk_softmax(size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *value)
{
    static watched the_function = {.name = "smoe_weights_topk_softmax"};
    smoe_status (*real_one)(size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *value);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, r, index, weight, margin, value);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], weight ? (size_t)(K) : 0);
        at_least(&the_array[3], margin ? (size_t)(1) : 0);
        at_least(&the_array[4], value ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, r, index, weight, margin, value));
    }
    return the_function.status;
}

smoe_status smoe_weights_topk_softmax_vjp(size_t N, size_t K, const size_t *index, const double *weight, const double *dweight, double *dr, double *dvalue)
{
    static watched the_function = {.name = "smoe_weights_topk_softmax_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, const size_t *index, const double *weight, const double *dweight, double *dr, double *dvalue);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, index, weight, dweight, dr, dvalue);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dvalue", 0, IS_REAL(*dvalue), sizeof *dvalue, 0, &dvalue},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(K) : 0);
        at_least(&the_array[1], weight ? (size_t)(K) : 0);
        at_least(&the_array[2], dweight ? (size_t)(K) : 0);
        at_least(&the_array[3], dr ? (size_t)(N) : 0);
        at_least(&the_array[4], dvalue ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, index, weight, dweight, dr, dvalue));
    }
    return the_function.status;
}

smoe_status smoe_weights_softmax_topk(size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *p)
{
    static watched the_function = {.name = "smoe_weights_softmax_topk"};
    smoe_status (*real_one)(size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *p);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, r, index, weight, margin, p);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], weight ? (size_t)(K) : 0);
        at_least(&the_array[3], margin ? (size_t)(1) : 0);
        at_least(&the_array[4], p ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, r, index, weight, margin, p));
    }
    return the_function.status;
}

smoe_status smoe_weights_softmax_topk_vjp(size_t N, size_t K, const size_t *index, const double *p, const double *dweight, double *dr, double *dp)
{
    static watched the_function = {.name = "smoe_weights_softmax_topk_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, const size_t *index, const double *p, const double *dweight, double *dr, double *dp);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, index, p, dweight, dr, dp);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dp", 0, IS_REAL(*dp), sizeof *dp, 0, &dp},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(K) : 0);
        at_least(&the_array[1], p ? (size_t)(N) : 0);
        at_least(&the_array[2], dweight ? (size_t)(K) : 0);
        at_least(&the_array[3], dr ? (size_t)(N) : 0);
        at_least(&the_array[4], dp ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, index, p, dweight, dr, dp));
    }
    return the_function.status;
}

smoe_status smoe_weights_softmax_topk_renorm(size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *p)
{
    static watched the_function = {.name = "smoe_weights_softmax_topk_renorm"};
    smoe_status (*real_one)(size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *p);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, r, index, weight, margin, p);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], weight ? (size_t)(K) : 0);
        at_least(&the_array[3], margin ? (size_t)(1) : 0);
        at_least(&the_array[4], p ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, r, index, weight, margin, p));
    }
    return the_function.status;
}

smoe_status smoe_weights_softmax_topk_renorm_vjp(size_t N, size_t K, const size_t *index, const double *weight, const double *dweight, double *dr, double *dvalue)
{
    static watched the_function = {.name = "smoe_weights_softmax_topk_renorm_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, const size_t *index, const double *weight, const double *dweight, double *dr, double *dvalue);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, index, weight, dweight, dr, dvalue);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dvalue", 0, IS_REAL(*dvalue), sizeof *dvalue, 0, &dvalue},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(K) : 0);
        at_least(&the_array[1], weight ? (size_t)(K) : 0);
        at_least(&the_array[2], dweight ? (size_t)(K) : 0);
        at_least(&the_array[3], dr ? (size_t)(N) : 0);
        at_least(&the_array[4], dvalue ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, index, weight, dweight, dr, dvalue));
    }
    return the_function.status;
}

smoe_status smoe_gate_weights(smoe_weight_order order, size_t T, size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *p)
{
    static watched the_function = {.name = "smoe_gate_weights"};
    smoe_status (*real_one)(smoe_weight_order order, size_t T, size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *p);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(order, T, N, K, r, index, weight, margin, p);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
    };
    const knob_of the_knob[] = {
        {"order", AN_ENUMERATOR, 0, &order},
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], index ? (size_t)(T*K) : 0);
        at_least(&the_array[2], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[3], margin ? (size_t)(T) : 0);
        at_least(&the_array[4], p ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(order, T, N, K, r, index, weight, margin, p));
    }
    return the_function.status;
}

smoe_status smoe_gate_weights_vjp(smoe_weight_order order, size_t T, size_t N, size_t K, const size_t *index, const double *weight, const double *p, const double *dweight, double *dr, double *work)
{
    static watched the_function = {.name = "smoe_gate_weights_vjp"};
    smoe_status (*real_one)(smoe_weight_order order, size_t T, size_t N, size_t K, const size_t *index, const double *weight, const double *p, const double *dweight, double *dr, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(order, T, N, K, index, weight, p, dweight, dr, work);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"order", AN_ENUMERATOR, 0, &order},
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(T*K) : 0);
        at_least(&the_array[1], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[2], p ? (size_t)(T*N) : 0);
        at_least(&the_array[3], dweight ? (size_t)(T*K) : 0);
        at_least(&the_array[4], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[5], work ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(order, T, N, K, index, weight, p, dweight, dr, work));
    }
    return the_function.status;
}

smoe_status smoe_jitter(size_t n, const double *x, const double *noise, double *xn)
{
    static watched the_function = {.name = "smoe_jitter"};
    smoe_status (*real_one)(size_t n, const double *x, const double *noise, double *xn);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, x, noise, xn);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"noise", 1, IS_REAL(*noise), sizeof *noise, 0, &noise},
        {"xn", 0, IS_REAL(*xn), sizeof *xn, 0, &xn},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n) : 0);
        at_least(&the_array[1], noise ? (size_t)(n) : 0);
        at_least(&the_array[2], xn ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, x, noise, xn));
    }
    return the_function.status;
}

smoe_status smoe_gate_jitter(size_t T, size_t d, size_t N, const double *x, const double *noise, const double *wr, const double *br, double *r, double *xn)
{
    static watched the_function = {.name = "smoe_gate_jitter"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, const double *x, const double *noise, const double *wr, const double *br, double *r, double *xn);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, x, noise, wr, br, r, xn);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"noise", 1, IS_REAL(*noise), sizeof *noise, 0, &noise},
        {"wr", 1, IS_REAL(*wr), sizeof *wr, 0, &wr},
        {"br", 1, IS_REAL(*br), sizeof *br, 0, &br},
        {"r", 0, IS_REAL(*r), sizeof *r, 0, &r},
        {"xn", 0, IS_REAL(*xn), sizeof *xn, 0, &xn},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], noise ? (size_t)(T*d) : 0);
        at_least(&the_array[2], wr ? (size_t)(N*d) : 0);
        at_least(&the_array[3], br ? (size_t)(N) : 0);
        at_least(&the_array[4], r ? (size_t)(T*N) : 0);
        at_least(&the_array[5], xn ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, x, noise, wr, br, r, xn));
    }
    return the_function.status;
}

smoe_status smoe_gate_jitter_vjp(size_t T, size_t d, size_t N, const double *noise, const double *xn, const double *wr, const double *dr, double *dx, double *dwr, double *dbr)
{
    static watched the_function = {.name = "smoe_gate_jitter_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, const double *noise, const double *xn, const double *wr, const double *dr, double *dx, double *dwr, double *dbr);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, noise, xn, wr, dr, dx, dwr, dbr);
    array_of the_array[] = {
        {"noise", 1, IS_REAL(*noise), sizeof *noise, 0, &noise},
        {"xn", 1, IS_REAL(*xn), sizeof *xn, 0, &xn},
        {"wr", 1, IS_REAL(*wr), sizeof *wr, 0, &wr},
        {"dr", 1, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dwr", 0, IS_REAL(*dwr), sizeof *dwr, 0, &dwr},
        {"dbr", 0, IS_REAL(*dbr), sizeof *dbr, 0, &dbr},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], noise ? (size_t)(T*d) : 0);
        at_least(&the_array[1], xn ? (size_t)(T*d) : 0);
        at_least(&the_array[2], wr ? (size_t)(N*d) : 0);
        at_least(&the_array[3], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[4], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[5], dwr ? (size_t)(N*d) : 0);
        at_least(&the_array[6], dbr ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, noise, xn, wr, dr, dx, dwr, dbr));
    }
    return the_function.status;
}

smoe_status smoe_noisy_scores(size_t n, const double *clean, const double *raw, const double *noise, double epsilon, double *std, double *noisy)
{
    static watched the_function = {.name = "smoe_noisy_scores"};
    smoe_status (*real_one)(size_t n, const double *clean, const double *raw, const double *noise, double epsilon, double *std, double *noisy);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, clean, raw, noise, epsilon, std, noisy);
    array_of the_array[] = {
        {"clean", 1, IS_REAL(*clean), sizeof *clean, 0, &clean},
        {"raw", 1, IS_REAL(*raw), sizeof *raw, 0, &raw},
        {"noise", 1, IS_REAL(*noise), sizeof *noise, 0, &noise},
        {"std", 0, IS_REAL(*std), sizeof *std, 0, &std},
        {"noisy", 0, IS_REAL(*noisy), sizeof *noisy, 0, &noisy},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"epsilon", A_NUMBER, 0, &epsilon},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], clean ? (size_t)(n) : 0);
        at_least(&the_array[1], raw ? (size_t)(n) : 0);
        at_least(&the_array[2], noise ? (size_t)(n) : 0);
        at_least(&the_array[3], std ? (size_t)(n) : 0);
        at_least(&the_array[4], noisy ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, clean, raw, noise, epsilon, std, noisy));
    }
    return the_function.status;
}

smoe_status smoe_noisy_scores_vjp(size_t n, const double *raw, const double *noise, const double *dnoisy, double *draw)
{
    static watched the_function = {.name = "smoe_noisy_scores_vjp"};
    smoe_status (*real_one)(size_t n, const double *raw, const double *noise, const double *dnoisy, double *draw);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, raw, noise, dnoisy, draw);
    array_of the_array[] = {
        {"raw", 1, IS_REAL(*raw), sizeof *raw, 0, &raw},
        {"noise", 1, IS_REAL(*noise), sizeof *noise, 0, &noise},
        {"dnoisy", 1, IS_REAL(*dnoisy), sizeof *dnoisy, 0, &dnoisy},
        {"draw", 0, IS_REAL(*draw), sizeof *draw, 0, &draw},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], raw ? (size_t)(n) : 0);
        at_least(&the_array[1], noise ? (size_t)(n) : 0);
        at_least(&the_array[2], dnoisy ? (size_t)(n) : 0);
        at_least(&the_array[3], draw ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, raw, noise, dnoisy, draw));
    }
    return the_function.status;
}

smoe_status smoe_gate_noisy(size_t T, size_t d, size_t N, size_t K, double epsilon, const double *x, const double *wg, const double *wn, const double *noise, double *clean, double *raw, double *std, double *noisy, size_t *index, double *weight, double *margin, double *value)
{
    static watched the_function = {.name = "smoe_gate_noisy"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, size_t K, double epsilon, const double *x, const double *wg, const double *wn, const double *noise, double *clean, double *raw, double *std, double *noisy, size_t *index, double *weight, double *margin, double *value);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, K, epsilon, x, wg, wn, noise, clean, raw, std, noisy, index, weight, margin, value);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"wg", 1, IS_REAL(*wg), sizeof *wg, 0, &wg},
        {"wn", 1, IS_REAL(*wn), sizeof *wn, 0, &wn},
        {"noise", 1, IS_REAL(*noise), sizeof *noise, 0, &noise},
        {"clean", 0, IS_REAL(*clean), sizeof *clean, 0, &clean},
        {"raw", 0, IS_REAL(*raw), sizeof *raw, 0, &raw},
        {"std", 0, IS_REAL(*std), sizeof *std, 0, &std},
        {"noisy", 0, IS_REAL(*noisy), sizeof *noisy, 0, &noisy},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {"epsilon", A_NUMBER, 0, &epsilon},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 12, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], wg ? (size_t)(N*d) : 0);
        at_least(&the_array[2], wn ? (size_t)(N*d) : 0);
        at_least(&the_array[3], noise ? (size_t)(T*N) : 0);
        at_least(&the_array[4], clean ? (size_t)(T*N) : 0);
        at_least(&the_array[5], raw ? (size_t)(T*N) : 0);
        at_least(&the_array[6], std ? (size_t)(T*N) : 0);
        at_least(&the_array[7], noisy ? (size_t)(T*N) : 0);
        at_least(&the_array[8], index ? (size_t)(T*K) : 0);
        at_least(&the_array[9], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[10], margin ? (size_t)(T) : 0);
        at_least(&the_array[11], value ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, K, epsilon, x, wg, wn, noise, clean, raw, std, noisy, index, weight, margin, value));
    }
    return the_function.status;
}

smoe_status smoe_gate_noisy_vjp(size_t T, size_t d, size_t N, size_t K, const double *x, const double *wg, const double *wn, const double *noise, const double *raw, const size_t *index, const double *weight, const double *dweight, double *dx, double *dwg, double *dwn, double *dnoisy, double *draw, double *dvalue)
{
    static watched the_function = {.name = "smoe_gate_noisy_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, size_t K, const double *x, const double *wg, const double *wn, const double *noise, const double *raw, const size_t *index, const double *weight, const double *dweight, double *dx, double *dwg, double *dwn, double *dnoisy, double *draw, double *dvalue);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, K, x, wg, wn, noise, raw, index, weight, dweight, dx, dwg, dwn, dnoisy, draw, dvalue);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"wg", 1, IS_REAL(*wg), sizeof *wg, 0, &wg},
        {"wn", 1, IS_REAL(*wn), sizeof *wn, 0, &wn},
        {"noise", 1, IS_REAL(*noise), sizeof *noise, 0, &noise},
        {"raw", 1, IS_REAL(*raw), sizeof *raw, 0, &raw},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dwg", 0, IS_REAL(*dwg), sizeof *dwg, 0, &dwg},
        {"dwn", 0, IS_REAL(*dwn), sizeof *dwn, 0, &dwn},
        {"dnoisy", 0, IS_REAL(*dnoisy), sizeof *dnoisy, 0, &dnoisy},
        {"draw", 0, IS_REAL(*draw), sizeof *draw, 0, &draw},
        {"dvalue", 0, IS_REAL(*dvalue), sizeof *dvalue, 0, &dvalue},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 14, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], wg ? (size_t)(N*d) : 0);
        at_least(&the_array[2], wn ? (size_t)(N*d) : 0);
        at_least(&the_array[3], noise ? (size_t)(T*N) : 0);
        at_least(&the_array[4], raw ? (size_t)(T*N) : 0);
        at_least(&the_array[5], index ? (size_t)(T*K) : 0);
        at_least(&the_array[6], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[7], dweight ? (size_t)(T*K) : 0);
        at_least(&the_array[8], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[9], dwg ? (size_t)(N*d) : 0);
        at_least(&the_array[10], dwn ? (size_t)(N*d) : 0);
        at_least(&the_array[11], dnoisy ? (size_t)(T*N) : 0);
        at_least(&the_array[12], draw ? (size_t)(T*N) : 0);
        at_least(&the_array[13], dvalue ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, K, x, wg, wn, noise, raw, index, weight, dweight, dx, dwg, dwn, dnoisy, draw, dvalue));
    }
    return the_function.status;
}

smoe_status smoe_weights_sigmoid(size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *value)
{
    static watched the_function = {.name = "smoe_weights_sigmoid"};
    smoe_status (*real_one)(size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *value);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, r, index, weight, margin, value);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], weight ? (size_t)(K) : 0);
        at_least(&the_array[3], margin ? (size_t)(1) : 0);
        at_least(&the_array[4], value ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, r, index, weight, margin, value));
    }
    return the_function.status;
}

smoe_status smoe_weights_sigmoid_vjp(size_t N, size_t K, const size_t *index, const double *value, const double *dweight, double *dr, double *dvalue)
{
    static watched the_function = {.name = "smoe_weights_sigmoid_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, const size_t *index, const double *value, const double *dweight, double *dr, double *dvalue);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, index, value, dweight, dr, dvalue);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"value", 1, IS_REAL(*value), sizeof *value, 0, &value},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dvalue", 0, IS_REAL(*dvalue), sizeof *dvalue, 0, &dvalue},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(K) : 0);
        at_least(&the_array[1], value ? (size_t)(K) : 0);
        at_least(&the_array[2], dweight ? (size_t)(K) : 0);
        at_least(&the_array[3], dr ? (size_t)(N) : 0);
        at_least(&the_array[4], dvalue ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, index, value, dweight, dr, dvalue));
    }
    return the_function.status;
}

smoe_status smoe_weights_sigmoid_norm(size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *value)
{
    static watched the_function = {.name = "smoe_weights_sigmoid_norm"};
    smoe_status (*real_one)(size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *value);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, r, index, weight, margin, value);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], weight ? (size_t)(K) : 0);
        at_least(&the_array[3], margin ? (size_t)(1) : 0);
        at_least(&the_array[4], value ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, r, index, weight, margin, value));
    }
    return the_function.status;
}

smoe_status smoe_weights_sigmoid_norm_vjp(size_t N, size_t K, const size_t *index, const double *value, const double *weight, const double *dweight, double *dr, double *dvalue)
{
    static watched the_function = {.name = "smoe_weights_sigmoid_norm_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, const size_t *index, const double *value, const double *weight, const double *dweight, double *dr, double *dvalue);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, index, value, weight, dweight, dr, dvalue);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"value", 1, IS_REAL(*value), sizeof *value, 0, &value},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dvalue", 0, IS_REAL(*dvalue), sizeof *dvalue, 0, &dvalue},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(K) : 0);
        at_least(&the_array[1], value ? (size_t)(K) : 0);
        at_least(&the_array[2], weight ? (size_t)(K) : 0);
        at_least(&the_array[3], dweight ? (size_t)(K) : 0);
        at_least(&the_array[4], dr ? (size_t)(N) : 0);
        at_least(&the_array[5], dvalue ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, index, value, weight, dweight, dr, dvalue));
    }
    return the_function.status;
}

smoe_status smoe_gate_sigmoid(smoe_sigmoid_form form, size_t T, size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *value)
{
    static watched the_function = {.name = "smoe_gate_sigmoid"};
    smoe_status (*real_one)(smoe_sigmoid_form form, size_t T, size_t N, size_t K, const double *r, size_t *index, double *weight, double *margin, double *value);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(form, T, N, K, r, index, weight, margin, value);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
    };
    const knob_of the_knob[] = {
        {"form", AN_ENUMERATOR, 0, &form},
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], index ? (size_t)(T*K) : 0);
        at_least(&the_array[2], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[3], margin ? (size_t)(T) : 0);
        at_least(&the_array[4], value ? (size_t)(T*K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(form, T, N, K, r, index, weight, margin, value));
    }
    return the_function.status;
}

smoe_status smoe_gate_sigmoid_vjp(smoe_sigmoid_form form, size_t T, size_t N, size_t K, const size_t *index, const double *value, const double *weight, const double *dweight, double *dr, double *dvalue)
{
    static watched the_function = {.name = "smoe_gate_sigmoid_vjp"};
    smoe_status (*real_one)(smoe_sigmoid_form form, size_t T, size_t N, size_t K, const size_t *index, const double *value, const double *weight, const double *dweight, double *dr, double *dvalue);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(form, T, N, K, index, value, weight, dweight, dr, dvalue);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"value", 1, IS_REAL(*value), sizeof *value, 0, &value},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dvalue", 0, IS_REAL(*dvalue), sizeof *dvalue, 0, &dvalue},
    };
    const knob_of the_knob[] = {
        {"form", AN_ENUMERATOR, 0, &form},
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(T*K) : 0);
        at_least(&the_array[1], value ? (size_t)(T*K) : 0);
        at_least(&the_array[2], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[3], dweight ? (size_t)(T*K) : 0);
        at_least(&the_array[4], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[5], dvalue ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(form, T, N, K, index, value, weight, dweight, dr, dvalue));
    }
    return the_function.status;
}

smoe_status smoe_gate_frozen(size_t T, size_t d, size_t N, size_t K, const double *x, const double *wr, double *r, size_t *index, double *weight, double *margin, double *value)
{
    static watched the_function = {.name = "smoe_gate_frozen"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, size_t K, const double *x, const double *wr, double *r, size_t *index, double *weight, double *margin, double *value);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, K, x, wr, r, index, weight, margin, value);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"wr", 1, IS_REAL(*wr), sizeof *wr, 0, &wr},
        {"r", 0, IS_REAL(*r), sizeof *r, 0, &r},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], wr ? (size_t)(N*d) : 0);
        at_least(&the_array[2], r ? (size_t)(T*N) : 0);
        at_least(&the_array[3], index ? (size_t)(T*K) : 0);
        at_least(&the_array[4], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[5], margin ? (size_t)(T) : 0);
        at_least(&the_array[6], value ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, K, x, wr, r, index, weight, margin, value));
    }
    return the_function.status;
}

smoe_status smoe_gate_frozen_vjp(size_t T, size_t d, size_t N, size_t K, const double *wr, const size_t *index, const double *weight, const double *dweight, double *dx, double *dr, double *dvalue)
{
    static watched the_function = {.name = "smoe_gate_frozen_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, size_t K, const double *wr, const size_t *index, const double *weight, const double *dweight, double *dx, double *dr, double *dvalue);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, K, wr, index, weight, dweight, dx, dr, dvalue);
    array_of the_array[] = {
        {"wr", 1, IS_REAL(*wr), sizeof *wr, 0, &wr},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dvalue", 0, IS_REAL(*dvalue), sizeof *dvalue, 0, &dvalue},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], wr ? (size_t)(N*d) : 0);
        at_least(&the_array[1], index ? (size_t)(T*K) : 0);
        at_least(&the_array[2], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[3], dweight ? (size_t)(T*K) : 0);
        at_least(&the_array[4], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[5], dr ? (size_t)(N) : 0);
        at_least(&the_array[6], dvalue ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, K, wr, index, weight, dweight, dx, dr, dvalue));
    }
    return the_function.status;
}

smoe_status smoe_dropout_schedule(size_t n, const int64_t *step, size_t k_min, size_t k_max, size_t steps, smoe_half half, size_t *k)
{
    static watched the_function = {.name = "smoe_dropout_schedule"};
    smoe_status (*real_one)(size_t n, const int64_t *step, size_t k_min, size_t k_max, size_t steps, smoe_half half, size_t *k);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, step, k_min, k_max, steps, half, k);
    array_of the_array[] = {
        {"step", 1, IS_REAL(*step), sizeof *step, 0, &step},
        {"k", 0, IS_REAL(*k), sizeof *k, 0, &k},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"k_min", A_SIZE, 0, &k_min},
        {"k_max", A_SIZE, 0, &k_max},
        {"steps", A_SIZE, 0, &steps},
        {"half", AN_ENUMERATOR, 0, &half},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], step ? (size_t)(n) : 0);
        at_least(&the_array[1], k ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, step, k_min, k_max, steps, half, k));
    }
    return the_function.status;
}

smoe_status smoe_gshard_capacity(size_t T, size_t N, size_t capacity, const size_t *index, size_t *kept, size_t *count)
{
    static watched the_function = {.name = "smoe_gshard_capacity"};
    smoe_status (*real_one)(size_t T, size_t N, size_t capacity, const size_t *index, size_t *kept, size_t *count);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, capacity, index, kept, count);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"kept", 0, IS_REAL(*kept), sizeof *kept, 0, &kept},
        {"count", 0, IS_REAL(*count), sizeof *count, 0, &count},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"capacity", A_SIZE, 0, &capacity},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(2*T) : 0);
        at_least(&the_array[1], kept ? (size_t)(2*T) : 0);
        at_least(&the_array[2], count ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, capacity, index, kept, count));
    }
    return the_function.status;
}

smoe_status smoe_gate_gshard(size_t T, size_t N, size_t capacity, smoe_second policy, double threshold, smoe_norm_when norm, const double *r, const double *u, size_t *index, double *weight, size_t *kept, double *margin, double *share, double *p, size_t *count)
{
    static watched the_function = {.name = "smoe_gate_gshard"};
    smoe_status (*real_one)(size_t T, size_t N, size_t capacity, smoe_second policy, double threshold, smoe_norm_when norm, const double *r, const double *u, size_t *index, double *weight, size_t *kept, double *margin, double *share, double *p, size_t *count);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, capacity, policy, threshold, norm, r, u, index, weight, kept, margin, share, p, count);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"kept", 0, IS_REAL(*kept), sizeof *kept, 0, &kept},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"share", 0, IS_REAL(*share), sizeof *share, 0, &share},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
        {"count", 0, IS_REAL(*count), sizeof *count, 0, &count},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"capacity", A_SIZE, 0, &capacity},
        {"policy", AN_ENUMERATOR, 0, &policy},
        {"threshold", A_NUMBER, 0, &threshold},
        {"norm", AN_ENUMERATOR, 0, &norm},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 9, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], u ? (size_t)(T) : 0);
        at_least(&the_array[2], index ? (size_t)(2*T) : 0);
        at_least(&the_array[3], weight ? (size_t)(2*T) : 0);
        at_least(&the_array[4], kept ? (size_t)(2*T) : 0);
        at_least(&the_array[5], margin ? (size_t)(T) : 0);
        at_least(&the_array[6], share ? (size_t)(2*T) : 0);
        at_least(&the_array[7], p ? (size_t)(N) : 0);
        at_least(&the_array[8], count ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, capacity, policy, threshold, norm, r, u, index, weight, kept, margin, share, p, count));
    }
    return the_function.status;
}

smoe_status smoe_gate_gshard_vjp(size_t T, size_t N, smoe_norm_when norm, const size_t *index, const size_t *kept, const double *share, const double *weight, const double *dweight, double *dr)
{
    static watched the_function = {.name = "smoe_gate_gshard_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, smoe_norm_when norm, const size_t *index, const size_t *kept, const double *share, const double *weight, const double *dweight, double *dr);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, norm, index, kept, share, weight, dweight, dr);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"kept", 1, IS_REAL(*kept), sizeof *kept, 0, &kept},
        {"share", 1, IS_REAL(*share), sizeof *share, 0, &share},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"norm", AN_ENUMERATOR, 0, &norm},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(2*T) : 0);
        at_least(&the_array[1], kept ? (size_t)(2*T) : 0);
        at_least(&the_array[2], share ? (size_t)(2*T) : 0);
        at_least(&the_array[3], weight ? (size_t)(2*T) : 0);
        at_least(&the_array[4], dweight ? (size_t)(2*T) : 0);
        at_least(&the_array[5], dr ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, norm, index, kept, share, weight, dweight, dr));
    }
    return the_function.status;
}

smoe_status smoe_gate_hyper(size_t T, size_t d, size_t N, size_t m, size_t g, const double *x, const double *e, const double *v1, const double *v2, double *r, double *z, double *wr)
{
    static watched the_function = {.name = "smoe_gate_hyper"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, size_t m, size_t g, const double *x, const double *e, const double *v1, const double *v2, double *r, double *z, double *wr);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, m, g, x, e, v1, v2, r, z, wr);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"e", 1, IS_REAL(*e), sizeof *e, 0, &e},
        {"v1", 1, IS_REAL(*v1), sizeof *v1, 0, &v1},
        {"v2", 1, IS_REAL(*v2), sizeof *v2, 0, &v2},
        {"r", 0, IS_REAL(*r), sizeof *r, 0, &r},
        {"z", 0, IS_REAL(*z), sizeof *z, 0, &z},
        {"wr", 0, IS_REAL(*wr), sizeof *wr, 0, &wr},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {"m", A_SIZE, 0, &m},
        {"g", A_SIZE, 0, &g},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], e ? (size_t)(m) : 0);
        at_least(&the_array[2], v1 ? (size_t)(g*m) : 0);
        at_least(&the_array[3], v2 ? (size_t)(N*d*g) : 0);
        at_least(&the_array[4], r ? (size_t)(T*N) : 0);
        at_least(&the_array[5], z ? (size_t)(g) : 0);
        at_least(&the_array[6], wr ? (size_t)(N*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, m, g, x, e, v1, v2, r, z, wr));
    }
    return the_function.status;
}

smoe_status smoe_gate_hyper_vjp(size_t T, size_t d, size_t N, size_t m, size_t g, const double *x, const double *v1, const double *v2, const double *z, const double *wr, const double *dr, double *dx, double *de, double *dwr, double *dz)
{
    static watched the_function = {.name = "smoe_gate_hyper_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, size_t m, size_t g, const double *x, const double *v1, const double *v2, const double *z, const double *wr, const double *dr, double *dx, double *de, double *dwr, double *dz);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, m, g, x, v1, v2, z, wr, dr, dx, de, dwr, dz);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"v1", 1, IS_REAL(*v1), sizeof *v1, 0, &v1},
        {"v2", 1, IS_REAL(*v2), sizeof *v2, 0, &v2},
        {"z", 1, IS_REAL(*z), sizeof *z, 0, &z},
        {"wr", 1, IS_REAL(*wr), sizeof *wr, 0, &wr},
        {"dr", 1, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"de", 0, IS_REAL(*de), sizeof *de, 0, &de},
        {"dwr", 0, IS_REAL(*dwr), sizeof *dwr, 0, &dwr},
        {"dz", 0, IS_REAL(*dz), sizeof *dz, 0, &dz},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {"m", A_SIZE, 0, &m},
        {"g", A_SIZE, 0, &g},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 10, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], v1 ? (size_t)(g*m) : 0);
        at_least(&the_array[2], v2 ? (size_t)(N*d*g) : 0);
        at_least(&the_array[3], z ? (size_t)(g) : 0);
        at_least(&the_array[4], wr ? (size_t)(N*d) : 0);
        at_least(&the_array[5], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[6], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[7], de ? (size_t)(m) : 0);
        at_least(&the_array[8], dwr ? (size_t)(N*d) : 0);
        at_least(&the_array[9], dz ? (size_t)(g) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, m, g, x, v1, v2, z, wr, dr, dx, de, dwr, dz));
    }
    return the_function.status;
}

smoe_status smoe_unit(size_t d, const double *x, double *norm, double *u)
{
    static watched the_function = {.name = "smoe_unit"};
    smoe_status (*real_one)(size_t d, const double *x, double *norm, double *u);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(d, x, norm, u);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"norm", 0, IS_REAL(*norm), sizeof *norm, 0, &norm},
        {"u", 0, IS_REAL(*u), sizeof *u, 0, &u},
    };
    const knob_of the_knob[] = {
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(d) : 0);
        at_least(&the_array[1], norm ? (size_t)(1) : 0);
        at_least(&the_array[2], u ? (size_t)(d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(d, x, norm, u));
    }
    return the_function.status;
}

smoe_status smoe_unit_vjp(size_t d, double norm, const double *u, const double *du, double *dx)
{
    static watched the_function = {.name = "smoe_unit_vjp"};
    smoe_status (*real_one)(size_t d, double norm, const double *u, const double *du, double *dx);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(d, norm, u, du, dx);
    array_of the_array[] = {
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"du", 1, IS_REAL(*du), sizeof *du, 0, &du},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
    };
    const knob_of the_knob[] = {
        {"d", A_SIZE, 1, &d},
        {"norm", A_NUMBER, 0, &norm},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], u ? (size_t)(d) : 0);
        at_least(&the_array[1], du ? (size_t)(d) : 0);
        at_least(&the_array[2], dx ? (size_t)(d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(d, norm, u, du, dx));
    }
    return the_function.status;
}

smoe_status smoe_xmoe_softmax(size_t N, size_t K, double tau, const double *s, size_t *index, double *weight, double *margin, double *q, double *p)
{
    static watched the_function = {.name = "smoe_xmoe_softmax"};
    smoe_status (*real_one)(size_t N, size_t K, double tau, const double *s, size_t *index, double *weight, double *margin, double *q, double *p);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, tau, s, index, weight, margin, q, p);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"q", 0, IS_REAL(*q), sizeof *q, 0, &q},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"tau", A_NUMBER, 0, &tau},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], weight ? (size_t)(K) : 0);
        at_least(&the_array[3], margin ? (size_t)(1) : 0);
        at_least(&the_array[4], q ? (size_t)(N) : 0);
        at_least(&the_array[5], p ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, tau, s, index, weight, margin, q, p));
    }
    return the_function.status;
}

smoe_status smoe_xmoe_softmax_vjp(size_t N, size_t K, double tau, const size_t *index, const double *q, const double *p, const double *dweight, double *ds, double *dtau, double *dp)
{
    static watched the_function = {.name = "smoe_xmoe_softmax_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, double tau, const size_t *index, const double *q, const double *p, const double *dweight, double *ds, double *dtau, double *dp);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, tau, index, q, p, dweight, ds, dtau, dp);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"dtau", 0, IS_REAL(*dtau), sizeof *dtau, 0, &dtau},
        {"dp", 0, IS_REAL(*dp), sizeof *dp, 0, &dp},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"tau", A_NUMBER, 0, &tau},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(K) : 0);
        at_least(&the_array[1], q ? (size_t)(N) : 0);
        at_least(&the_array[2], p ? (size_t)(N) : 0);
        at_least(&the_array[3], dweight ? (size_t)(K) : 0);
        at_least(&the_array[4], ds ? (size_t)(N) : 0);
        at_least(&the_array[5], dtau ? (size_t)(1) : 0);
        at_least(&the_array[6], dp ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, tau, index, q, p, dweight, ds, dtau, dp));
    }
    return the_function.status;
}

smoe_status smoe_xmoe_sigmoid(size_t N, size_t K, double tau, const double *s, size_t *index, double *weight, double *margin, double *q)
{
    static watched the_function = {.name = "smoe_xmoe_sigmoid"};
    smoe_status (*real_one)(size_t N, size_t K, double tau, const double *s, size_t *index, double *weight, double *margin, double *q);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, tau, s, index, weight, margin, q);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"q", 0, IS_REAL(*q), sizeof *q, 0, &q},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"tau", A_NUMBER, 0, &tau},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], weight ? (size_t)(K) : 0);
        at_least(&the_array[3], margin ? (size_t)(1) : 0);
        at_least(&the_array[4], q ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, tau, s, index, weight, margin, q));
    }
    return the_function.status;
}

smoe_status smoe_xmoe_sigmoid_vjp(size_t N, size_t K, double tau, const size_t *index, const double *q, const double *dweight, double *ds, double *dtau)
{
    static watched the_function = {.name = "smoe_xmoe_sigmoid_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, double tau, const size_t *index, const double *q, const double *dweight, double *ds, double *dtau);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, tau, index, q, dweight, ds, dtau);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"dtau", 0, IS_REAL(*dtau), sizeof *dtau, 0, &dtau},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"tau", A_NUMBER, 0, &tau},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(K) : 0);
        at_least(&the_array[1], q ? (size_t)(N) : 0);
        at_least(&the_array[2], dweight ? (size_t)(K) : 0);
        at_least(&the_array[3], ds ? (size_t)(N) : 0);
        at_least(&the_array[4], dtau ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, tau, index, q, dweight, ds, dtau));
    }
    return the_function.status;
}

smoe_status smoe_damped(size_t d, double tau, const double *x, double *norm, double *u)
{
    static watched the_function = {.name = "smoe_damped"};
    smoe_status (*real_one)(size_t d, double tau, const double *x, double *norm, double *u);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(d, tau, x, norm, u);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"norm", 0, IS_REAL(*norm), sizeof *norm, 0, &norm},
        {"u", 0, IS_REAL(*u), sizeof *u, 0, &u},
    };
    const knob_of the_knob[] = {
        {"d", A_SIZE, 1, &d},
        {"tau", A_NUMBER, 0, &tau},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(d) : 0);
        at_least(&the_array[1], norm ? (size_t)(1) : 0);
        at_least(&the_array[2], u ? (size_t)(d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(d, tau, x, norm, u));
    }
    return the_function.status;
}

smoe_status smoe_damped_vjp(size_t d, double tau, const double *x, double norm, const double *u, const double *du, double *dx)
{
    static watched the_function = {.name = "smoe_damped_vjp"};
    smoe_status (*real_one)(size_t d, double tau, const double *x, double norm, const double *u, const double *du, double *dx);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(d, tau, x, norm, u, du, dx);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"du", 1, IS_REAL(*du), sizeof *du, 0, &du},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
    };
    const knob_of the_knob[] = {
        {"d", A_SIZE, 1, &d},
        {"tau", A_NUMBER, 0, &tau},
        {"norm", A_NUMBER, 0, &norm},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(d) : 0);
        at_least(&the_array[1], u ? (size_t)(d) : 0);
        at_least(&the_array[2], du ? (size_t)(d) : 0);
        at_least(&the_array[3], dx ? (size_t)(d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(d, tau, x, norm, u, du, dx));
    }
    return the_function.status;
}

smoe_status smoe_stable_choice(size_t N, const double *s, const double *chooser, size_t *index, double *weight, double *margin)
{
    static watched the_function = {.name = "smoe_stable_choice"};
    smoe_status (*real_one)(size_t N, const double *s, const double *chooser, size_t *index, double *weight, double *margin);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, s, chooser, index, weight, margin);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"chooser", 1, IS_REAL(*chooser), sizeof *chooser, 0, &chooser},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], chooser ? (size_t)(N) : 0);
        at_least(&the_array[2], index ? (size_t)(1) : 0);
        at_least(&the_array[3], weight ? (size_t)(1) : 0);
        at_least(&the_array[4], margin ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, s, chooser, index, weight, margin));
    }
    return the_function.status;
}

smoe_status smoe_stable_choice_vjp(size_t N, const double *s, size_t a, double dweight, double *ds)
{
    static watched the_function = {.name = "smoe_stable_choice_vjp"};
    smoe_status (*real_one)(size_t N, const double *s, size_t a, double dweight, double *ds);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, s, a, dweight, ds);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"a", A_SIZE, 0, &a},
        {"dweight", A_NUMBER, 0, &dweight},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], ds ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, s, a, dweight, ds));
    }
    return the_function.status;
}

smoe_status smoe_cross_entropy(size_t N, const double *s, size_t a, double *lse, double *loss)
{
    static watched the_function = {.name = "smoe_cross_entropy"};
    smoe_status (*real_one)(size_t N, const double *s, size_t a, double *lse, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, s, a, lse, loss);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"lse", 0, IS_REAL(*lse), sizeof *lse, 0, &lse},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"a", A_SIZE, 0, &a},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], lse ? (size_t)(1) : 0);
        at_least(&the_array[2], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, s, a, lse, loss));
    }
    return the_function.status;
}

smoe_status smoe_cross_entropy_vjp(size_t N, const double *s, size_t a, double lse, double dloss, double *ds)
{
    static watched the_function = {.name = "smoe_cross_entropy_vjp"};
    smoe_status (*real_one)(size_t N, const double *s, size_t a, double lse, double dloss, double *ds);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, s, a, lse, dloss, ds);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"a", A_SIZE, 0, &a},
        {"lse", A_NUMBER, 0, &lse},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], ds ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, s, a, lse, dloss, ds));
    }
    return the_function.status;
}

smoe_status smoe_weights_scaled_renorm(size_t N, size_t K, double scale, const double *s, const size_t *index, double *weight)
{
    static watched the_function = {.name = "smoe_weights_scaled_renorm"};
    smoe_status (*real_one)(size_t N, size_t K, double scale, const double *s, const size_t *index, double *weight);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, scale, s, index, weight);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"scale", A_NUMBER, 0, &scale},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], weight ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, scale, s, index, weight));
    }
    return the_function.status;
}

smoe_status smoe_weights_scaled_renorm_vjp(size_t N, size_t K, double scale, const double *s, const size_t *index, const double *dweight, double *ds, double *v, double *dv)
{
    static watched the_function = {.name = "smoe_weights_scaled_renorm_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, double scale, const double *s, const size_t *index, const double *dweight, double *ds, double *v, double *dv);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, scale, s, index, dweight, ds, v, dv);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"v", 0, IS_REAL(*v), sizeof *v, 0, &v},
        {"dv", 0, IS_REAL(*dv), sizeof *dv, 0, &dv},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"scale", A_NUMBER, 0, &scale},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], dweight ? (size_t)(K) : 0);
        at_least(&the_array[3], ds ? (size_t)(N) : 0);
        at_least(&the_array[4], v ? (size_t)(K) : 0);
        at_least(&the_array[5], dv ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, scale, s, index, dweight, ds, v, dv));
    }
    return the_function.status;
}

smoe_status smoe_weights_scaled(size_t N, size_t K, double scale, const double *s, const size_t *index, double *weight)
{
    static watched the_function = {.name = "smoe_weights_scaled"};
    smoe_status (*real_one)(size_t N, size_t K, double scale, const double *s, const size_t *index, double *weight);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, scale, s, index, weight);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"scale", A_NUMBER, 0, &scale},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], weight ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, scale, s, index, weight));
    }
    return the_function.status;
}

smoe_status smoe_weights_scaled_vjp(size_t N, size_t K, double scale, const double *s, const size_t *index, const double *dweight, double *ds, double *dv)
{
    static watched the_function = {.name = "smoe_weights_scaled_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, double scale, const double *s, const size_t *index, const double *dweight, double *ds, double *dv);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, scale, s, index, dweight, ds, dv);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"dv", 0, IS_REAL(*dv), sizeof *dv, 0, &dv},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"scale", A_NUMBER, 0, &scale},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], dweight ? (size_t)(K) : 0);
        at_least(&the_array[3], ds ? (size_t)(N) : 0);
        at_least(&the_array[4], dv ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, scale, s, index, dweight, ds, dv));
    }
    return the_function.status;
}

smoe_status smoe_gate_entropy_token(size_t N, const double *r, double *entropy, double *p, double *log_p)
{
    static watched the_function = {.name = "smoe_gate_entropy_token"};
    smoe_status (*real_one)(size_t N, const double *r, double *entropy, double *p, double *log_p);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, r, entropy, p, log_p);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"entropy", 0, IS_REAL(*entropy), sizeof *entropy, 0, &entropy},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
        {"log_p", 0, IS_REAL(*log_p), sizeof *log_p, 0, &log_p},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(N) : 0);
        at_least(&the_array[1], entropy ? (size_t)(1) : 0);
        at_least(&the_array[2], p ? (size_t)(N) : 0);
        at_least(&the_array[3], log_p ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, r, entropy, p, log_p));
    }
    return the_function.status;
}

smoe_status smoe_gate_entropy(size_t T, size_t N, const double *r, double *entropy, double *mean, double *p, double *log_p)
{
    static watched the_function = {.name = "smoe_gate_entropy"};
    smoe_status (*real_one)(size_t T, size_t N, const double *r, double *entropy, double *mean, double *p, double *log_p);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, r, entropy, mean, p, log_p);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"entropy", 0, IS_REAL(*entropy), sizeof *entropy, 0, &entropy},
        {"mean", 0, IS_REAL(*mean), sizeof *mean, 0, &mean},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
        {"log_p", 0, IS_REAL(*log_p), sizeof *log_p, 0, &log_p},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], entropy ? (size_t)(T) : 0);
        at_least(&the_array[2], mean ? (size_t)(1) : 0);
        at_least(&the_array[3], p ? (size_t)(N) : 0);
        at_least(&the_array[4], log_p ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, r, entropy, mean, p, log_p));
    }
    return the_function.status;
}

smoe_status smoe_dispatch(size_t A, size_t N, const size_t *choice, size_t *offset, size_t *slot, size_t *place)
{
    static watched the_function = {.name = "smoe_dispatch"};
    smoe_status (*real_one)(size_t A, size_t N, const size_t *choice, size_t *offset, size_t *slot, size_t *place);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(A, N, choice, offset, slot, place);
    array_of the_array[] = {
        {"choice", 1, IS_REAL(*choice), sizeof *choice, 0, &choice},
        {"offset", 0, IS_REAL(*offset), sizeof *offset, 0, &offset},
        {"slot", 0, IS_REAL(*slot), sizeof *slot, 0, &slot},
        {"place", 0, IS_REAL(*place), sizeof *place, 0, &place},
    };
    const knob_of the_knob[] = {
        {"A", A_SIZE, 0, &A},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], choice ? (size_t)(A) : 0);
        at_least(&the_array[1], offset ? (size_t)(N + 1) : 0);
        at_least(&the_array[2], slot ? (size_t)(A) : 0);
        at_least(&the_array[3], place ? (size_t)(A) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(A, N, choice, offset, slot, place));
    }
    return the_function.status;
}

smoe_status smoe_experts(smoe_activation phi, size_t T, size_t d, size_t h, size_t N, size_t K, const double *x, const double *w1, const double *b1, const double *w2, const double *b2, const size_t *offset, const size_t *slot, double *xs, double *a, double *u, double *o)
{
    static watched the_function = {.name = "smoe_experts"};
    smoe_status (*real_one)(smoe_activation phi, size_t T, size_t d, size_t h, size_t N, size_t K, const double *x, const double *w1, const double *b1, const double *w2, const double *b2, const size_t *offset, const size_t *slot, double *xs, double *a, double *u, double *o);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(phi, T, d, h, N, K, x, w1, b1, w2, b2, offset, slot, xs, a, u, o);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"b1", 1, IS_REAL(*b1), sizeof *b1, 0, &b1},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"b2", 1, IS_REAL(*b2), sizeof *b2, 0, &b2},
        {"offset", 1, IS_REAL(*offset), sizeof *offset, 0, &offset},
        {"slot", 1, IS_REAL(*slot), sizeof *slot, 0, &slot},
        {"xs", 0, IS_REAL(*xs), sizeof *xs, 0, &xs},
        {"a", 0, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 0, IS_REAL(*u), sizeof *u, 0, &u},
        {"o", 0, IS_REAL(*o), sizeof *o, 0, &o},
    };
    const knob_of the_knob[] = {
        {"phi", AN_ENUMERATOR, 0, &phi},
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 11, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], w1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[2], b1 ? (size_t)(N*h) : 0);
        at_least(&the_array[3], w2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[4], b2 ? (size_t)(N*d) : 0);
        at_least(&the_array[5], offset ? (size_t)(N+1) : 0);
        at_least(&the_array[6], slot ? (size_t)(T*K) : 0);
        at_least(&the_array[7], xs ? (size_t)(T*K*d) : 0);
        at_least(&the_array[8], a ? (size_t)(T*K*h) : 0);
        at_least(&the_array[9], u ? (size_t)(T*K*h) : 0);
        at_least(&the_array[10], o ? (size_t)(T*K*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(phi, T, d, h, N, K, x, w1, b1, w2, b2, offset, slot, xs, a, u, o));
    }
    return the_function.status;
}

smoe_status smoe_experts_vjp(smoe_activation phi, size_t T, size_t d, size_t h, size_t N, size_t K, const double *w1, const double *w2, const size_t *offset, const size_t *place, const double *xs, const double *a, const double *u, const double *do_, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da, double *dxs)
{
    static watched the_function = {.name = "smoe_experts_vjp"};
    smoe_status (*real_one)(smoe_activation phi, size_t T, size_t d, size_t h, size_t N, size_t K, const double *w1, const double *w2, const size_t *offset, const size_t *place, const double *xs, const double *a, const double *u, const double *do_, double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da, double *dxs);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(phi, T, d, h, N, K, w1, w2, offset, place, xs, a, u, do_, dx, dw1, db1, dw2, db2, da, dxs);
    array_of the_array[] = {
        {"w1", 1, IS_REAL(*w1), sizeof *w1, 0, &w1},
        {"w2", 1, IS_REAL(*w2), sizeof *w2, 0, &w2},
        {"offset", 1, IS_REAL(*offset), sizeof *offset, 0, &offset},
        {"place", 1, IS_REAL(*place), sizeof *place, 0, &place},
        {"xs", 1, IS_REAL(*xs), sizeof *xs, 0, &xs},
        {"a", 1, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"do_", 1, IS_REAL(*do_), sizeof *do_, 0, &do_},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dw1", 0, IS_REAL(*dw1), sizeof *dw1, 0, &dw1},
        {"db1", 0, IS_REAL(*db1), sizeof *db1, 0, &db1},
        {"dw2", 0, IS_REAL(*dw2), sizeof *dw2, 0, &dw2},
        {"db2", 0, IS_REAL(*db2), sizeof *db2, 0, &db2},
        {"da", 0, IS_REAL(*da), sizeof *da, 0, &da},
        {"dxs", 0, IS_REAL(*dxs), sizeof *dxs, 0, &dxs},
    };
    const knob_of the_knob[] = {
        {"phi", AN_ENUMERATOR, 0, &phi},
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"h", A_SIZE, 0, &h},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 15, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], w1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[1], w2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[2], offset ? (size_t)(N+1) : 0);
        at_least(&the_array[3], place ? (size_t)(T*K) : 0);
        at_least(&the_array[4], xs ? (size_t)(T*K*d) : 0);
        at_least(&the_array[5], a ? (size_t)(T*K*h) : 0);
        at_least(&the_array[6], u ? (size_t)(T*K*h) : 0);
        at_least(&the_array[7], do_ ? (size_t)(T*K*d) : 0);
        at_least(&the_array[8], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[9], dw1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[10], db1 ? (size_t)(N*h) : 0);
        at_least(&the_array[11], dw2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[12], db2 ? (size_t)(N*d) : 0);
        at_least(&the_array[13], da ? (size_t)(T*K*h) : 0);
        at_least(&the_array[14], dxs ? (size_t)(T*K*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(phi, T, d, h, N, K, w1, w2, offset, place, xs, a, u, do_, dx, dw1, db1, dw2, db2, da, dxs));
    }
    return the_function.status;
}

smoe_status smoe_combine(size_t T, size_t d, size_t K, const double *weight, const size_t *place, const double *o, double *y)
{
    static watched the_function = {.name = "smoe_combine"};
    smoe_status (*real_one)(size_t T, size_t d, size_t K, const double *weight, const size_t *place, const double *o, double *y);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, K, weight, place, o, y);
    array_of the_array[] = {
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"place", 1, IS_REAL(*place), sizeof *place, 0, &place},
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[1], place ? (size_t)(T*K) : 0);
        at_least(&the_array[2], o ? (size_t)(T*K*d) : 0);
        at_least(&the_array[3], y ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, K, weight, place, o, y));
    }
    return the_function.status;
}

smoe_status smoe_combine_vjp(size_t T, size_t d, size_t K, const double *weight, const size_t *place, const double *o, const double *dy, double *do_, double *dweight)
{
    static watched the_function = {.name = "smoe_combine_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t K, const double *weight, const size_t *place, const double *o, const double *dy, double *do_, double *dweight);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, K, weight, place, o, dy, do_, dweight);
    array_of the_array[] = {
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"place", 1, IS_REAL(*place), sizeof *place, 0, &place},
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
        {"dweight", 0, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[1], place ? (size_t)(T*K) : 0);
        at_least(&the_array[2], o ? (size_t)(T*K*d) : 0);
        at_least(&the_array[3], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[4], do_ ? (size_t)(T*K*d) : 0);
        at_least(&the_array[5], dweight ? (size_t)(T*K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, K, weight, place, o, dy, do_, dweight));
    }
    return the_function.status;
}

smoe_status smoe_layer(const smoe_layer_shape *shape, const smoe_layer_in *in, const smoe_layer_out *out, const smoe_layer_kept *kept)
{
    static watched the_function = {.name = "smoe_layer"};
    smoe_status (*real_one)(const smoe_layer_shape *shape, const smoe_layer_in *in, const smoe_layer_out *out, const smoe_layer_kept *kept);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, in, out, kept);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    smoe_layer_in in_ = *in;
    in = &in_;
    smoe_layer_out out_ = *out;
    out = &out_;
    smoe_layer_kept kept_ = *kept;
    kept = &kept_;
    array_of the_array[] = {
        {"in->x", 1, IS_REAL(*in_.x), sizeof *in_.x, 0, &in_.x},
        {"in->wr", 1, IS_REAL(*in_.wr), sizeof *in_.wr, 0, &in_.wr},
        {"in->br", 1, IS_REAL(*in_.br), sizeof *in_.br, 0, &in_.br},
        {"in->w1", 1, IS_REAL(*in_.w1), sizeof *in_.w1, 0, &in_.w1},
        {"in->b1", 1, IS_REAL(*in_.b1), sizeof *in_.b1, 0, &in_.b1},
        {"in->w2", 1, IS_REAL(*in_.w2), sizeof *in_.w2, 0, &in_.w2},
        {"in->b2", 1, IS_REAL(*in_.b2), sizeof *in_.b2, 0, &in_.b2},
        {"out->y", 0, IS_REAL(*out_.y), sizeof *out_.y, 0, &out_.y},
        {"out->r", 0, IS_REAL(*out_.r), sizeof *out_.r, 0, &out_.r},
        {"out->index", 0, IS_REAL(*out_.index), sizeof *out_.index, 0, &out_.index},
        {"out->weight", 0, IS_REAL(*out_.weight), sizeof *out_.weight, 0, &out_.weight},
        {"out->margin", 0, IS_REAL(*out_.margin), sizeof *out_.margin, 0, &out_.margin},
        {"kept->offset", 0, IS_REAL(*kept_.offset), sizeof *kept_.offset, 0, &kept_.offset},
        {"kept->slot", 0, IS_REAL(*kept_.slot), sizeof *kept_.slot, 0, &kept_.slot},
        {"kept->place", 0, IS_REAL(*kept_.place), sizeof *kept_.place, 0, &kept_.place},
        {"kept->p", 0, IS_REAL(*kept_.p), sizeof *kept_.p, 0, &kept_.p},
        {"kept->xs", 0, IS_REAL(*kept_.xs), sizeof *kept_.xs, 0, &kept_.xs},
        {"kept->o", 0, IS_REAL(*kept_.o), sizeof *kept_.o, 0, &kept_.o},
        {"kept->a", 0, IS_REAL(*kept_.a), sizeof *kept_.a, 0, &kept_.a},
        {"kept->u", 0, IS_REAL(*kept_.u), sizeof *kept_.u, 0, &kept_.u},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 20, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t d = shape->d;
        (void)d;
        const size_t h = shape->h;
        (void)h;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        at_least(&the_array[0], in_.x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], in_.wr ? (size_t)(N*d) : 0);
        at_least(&the_array[2], in_.br ? (size_t)(N) : 0);
        at_least(&the_array[3], in_.w1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[4], in_.b1 ? (size_t)(N*h) : 0);
        at_least(&the_array[5], in_.w2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[6], in_.b2 ? (size_t)(N*d) : 0);
        at_least(&the_array[7], out_.y ? (size_t)(T*d) : 0);
        at_least(&the_array[8], out_.r ? (size_t)(T*N) : 0);
        at_least(&the_array[9], out_.index ? (size_t)(T*K) : 0);
        at_least(&the_array[10], out_.weight ? (size_t)(T*K) : 0);
        at_least(&the_array[11], out_.margin ? (size_t)(T) : 0);
        at_least(&the_array[12], kept_.offset ? (size_t)(N + 1) : 0);
        at_least(&the_array[13], kept_.slot ? (size_t)(T*K) : 0);
        at_least(&the_array[14], kept_.place ? (size_t)(T*K) : 0);
        at_least(&the_array[15], kept_.p ? (size_t)(T*N) : 0);
        at_least(&the_array[16], kept_.xs ? (size_t)(T*K*d) : 0);
        at_least(&the_array[17], kept_.o ? (size_t)(T*K*d) : 0);
        at_least(&the_array[18], kept_.a ? (size_t)(T*K*h) : 0);
        at_least(&the_array[19], kept_.u ? (size_t)(T*K*h) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, in, out, kept));
    }
    return the_function.status;
}

smoe_status smoe_layer_vjp(const smoe_layer_shape *shape, const smoe_layer_in *in, const smoe_layer_out *out, const smoe_layer_kept *kept, const double *dy, const double *dweight, const double *dr, const smoe_layer_grad *grad, double *work)
{
    static watched the_function = {.name = "smoe_layer_vjp"};
    smoe_status (*real_one)(const smoe_layer_shape *shape, const smoe_layer_in *in, const smoe_layer_out *out, const smoe_layer_kept *kept, const double *dy, const double *dweight, const double *dr, const smoe_layer_grad *grad, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, in, out, kept, dy, dweight, dr, grad, work);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    smoe_layer_in in_ = *in;
    in = &in_;
    smoe_layer_out out_ = *out;
    out = &out_;
    smoe_layer_kept kept_ = *kept;
    kept = &kept_;
    smoe_layer_grad grad_ = *grad;
    grad = &grad_;
    array_of the_array[] = {
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dr", 1, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"grad->x", 0, IS_REAL(*grad_.x), sizeof *grad_.x, 0, &grad_.x},
        {"grad->wr", 0, IS_REAL(*grad_.wr), sizeof *grad_.wr, 0, &grad_.wr},
        {"grad->br", 0, IS_REAL(*grad_.br), sizeof *grad_.br, 0, &grad_.br},
        {"grad->w1", 0, IS_REAL(*grad_.w1), sizeof *grad_.w1, 0, &grad_.w1},
        {"grad->b1", 0, IS_REAL(*grad_.b1), sizeof *grad_.b1, 0, &grad_.b1},
        {"grad->w2", 0, IS_REAL(*grad_.w2), sizeof *grad_.w2, 0, &grad_.w2},
        {"grad->b2", 0, IS_REAL(*grad_.b2), sizeof *grad_.b2, 0, &grad_.b2},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 11, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t d = shape->d;
        (void)d;
        const size_t h = shape->h;
        (void)h;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        at_least(&the_array[0], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[1], dweight ? (size_t)(T*K) : 0);
        at_least(&the_array[2], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[3], grad_.x ? (size_t)(T*d) : 0);
        at_least(&the_array[4], grad_.wr ? (size_t)(N*d) : 0);
        at_least(&the_array[5], grad_.br ? (size_t)(N) : 0);
        at_least(&the_array[6], grad_.w1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[7], grad_.b1 ? (size_t)(N*h) : 0);
        at_least(&the_array[8], grad_.w2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[9], grad_.b2 ? (size_t)(N*d) : 0);
        at_least(&the_array[10], work ? (size_t)(T*K*(2*d+h+1)+T*N+N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, in, out, kept, dy, dweight, dr, grad, work));
    }
    return the_function.status;
}

smoe_status smoe_capacity(double factor, size_t minimum, smoe_rounding round, size_t T, size_t K, size_t N, size_t *C)
{
    static watched the_function = {.name = "smoe_capacity"};
    smoe_status (*real_one)(double factor, size_t minimum, smoe_rounding round, size_t T, size_t K, size_t N, size_t *C);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(factor, minimum, round, T, K, N, C);
    array_of the_array[] = {
        {"C", 0, IS_REAL(*C), sizeof *C, 0, &C},
    };
    const knob_of the_knob[] = {
        {"factor", A_NUMBER, 0, &factor},
        {"minimum", A_SIZE, 0, &minimum},
        {"round", AN_ENUMERATOR, 0, &round},
        {"T", A_SIZE, 0, &T},
        {"K", A_SIZE, 0, &K},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 1, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], C ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(factor, minimum, round, T, K, N, C));
    }
    return the_function.status;
}

smoe_status smoe_queue(smoe_priority priority, size_t T, size_t K, size_t *queue)
{
    static watched the_function = {.name = "smoe_queue"};
    smoe_status (*real_one)(smoe_priority priority, size_t T, size_t K, size_t *queue);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(priority, T, K, queue);
    array_of the_array[] = {
        {"queue", 0, IS_REAL(*queue), sizeof *queue, 0, &queue},
    };
    const knob_of the_knob[] = {
        {"priority", AN_ENUMERATOR, 0, &priority},
        {"T", A_SIZE, 0, &T},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 1, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], queue ? (size_t)(T*K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(priority, T, K, queue));
    }
    return the_function.status;
}

smoe_status smoe_slots_first(size_t A, size_t N, size_t C, const size_t *choice, const size_t *queue, size_t *load, size_t *slot)
{
    static watched the_function = {.name = "smoe_slots_first"};
    smoe_status (*real_one)(size_t A, size_t N, size_t C, const size_t *choice, const size_t *queue, size_t *load, size_t *slot);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(A, N, C, choice, queue, load, slot);
    array_of the_array[] = {
        {"choice", 1, IS_REAL(*choice), sizeof *choice, 0, &choice},
        {"queue", 1, IS_REAL(*queue), sizeof *queue, 0, &queue},
        {"load", 0, IS_REAL(*load), sizeof *load, 0, &load},
        {"slot", 0, IS_REAL(*slot), sizeof *slot, 0, &slot},
    };
    const knob_of the_knob[] = {
        {"A", A_SIZE, 0, &A},
        {"N", A_SIZE, 0, &N},
        {"C", A_SIZE, 0, &C},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], choice ? (size_t)(A) : 0);
        at_least(&the_array[1], queue ? (size_t)(A) : 0);
        at_least(&the_array[2], load ? (size_t)(N) : 0);
        at_least(&the_array[3], slot ? (size_t)(A) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(A, N, C, choice, queue, load, slot));
    }
    return the_function.status;
}

smoe_status smoe_slots_largest(size_t A, size_t N, size_t C, const size_t *choice, const double *weight, const size_t *queue, size_t *load, size_t *slot)
{
    static watched the_function = {.name = "smoe_slots_largest"};
    smoe_status (*real_one)(size_t A, size_t N, size_t C, const size_t *choice, const double *weight, const size_t *queue, size_t *load, size_t *slot);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(A, N, C, choice, weight, queue, load, slot);
    array_of the_array[] = {
        {"choice", 1, IS_REAL(*choice), sizeof *choice, 0, &choice},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"queue", 1, IS_REAL(*queue), sizeof *queue, 0, &queue},
        {"load", 0, IS_REAL(*load), sizeof *load, 0, &load},
        {"slot", 0, IS_REAL(*slot), sizeof *slot, 0, &slot},
    };
    const knob_of the_knob[] = {
        {"A", A_SIZE, 0, &A},
        {"N", A_SIZE, 0, &N},
        {"C", A_SIZE, 0, &C},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], choice ? (size_t)(A) : 0);
        at_least(&the_array[1], weight ? (size_t)(A) : 0);
        at_least(&the_array[2], queue ? (size_t)(A) : 0);
        at_least(&the_array[3], load ? (size_t)(N) : 0);
        at_least(&the_array[4], slot ? (size_t)(A) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(A, N, C, choice, weight, queue, load, slot));
    }
    return the_function.status;
}

smoe_status smoe_capacity_gate(const smoe_capacity_shape *shape, const double *r, const smoe_capacity_out *out, const smoe_capacity_kept *kept)
{
    static watched the_function = {.name = "smoe_capacity_gate"};
    smoe_status (*real_one)(const smoe_capacity_shape *shape, const double *r, const smoe_capacity_out *out, const smoe_capacity_kept *kept);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, r, out, kept);
    smoe_capacity_shape shape_ = *shape;
    shape = &shape_;
    smoe_capacity_out out_ = *out;
    out = &out_;
    smoe_capacity_kept kept_ = *kept;
    kept = &kept_;
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"out->index", 0, IS_REAL(*out_.index), sizeof *out_.index, 0, &out_.index},
        {"out->weight", 0, IS_REAL(*out_.weight), sizeof *out_.weight, 0, &out_.weight},
        {"out->margin", 0, IS_REAL(*out_.margin), sizeof *out_.margin, 0, &out_.margin},
        {"out->slot", 0, IS_REAL(*out_.slot), sizeof *out_.slot, 0, &out_.slot},
        {"out->load", 0, IS_REAL(*out_.load), sizeof *out_.load, 0, &out_.load},
        {"kept->gate", 0, IS_REAL(*kept_.gate), sizeof *kept_.gate, 0, &kept_.gate},
        {"kept->p", 0, IS_REAL(*kept_.p), sizeof *kept_.p, 0, &kept_.p},
        {"kept->queue", 0, IS_REAL(*kept_.queue), sizeof *kept_.queue, 0, &kept_.queue},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->priority", AN_ENUMERATOR, 0, &shape_.priority},
        {"shape->keep", AN_ENUMERATOR, 0, &shape_.keep},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {"shape->C", A_SIZE, 0, &shape_.C},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 9, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], out_.index ? (size_t)(T*K) : 0);
        at_least(&the_array[2], out_.weight ? (size_t)(T*K) : 0);
        at_least(&the_array[3], out_.margin ? (size_t)(T) : 0);
        at_least(&the_array[4], out_.slot ? (size_t)(T*K) : 0);
        at_least(&the_array[5], out_.load ? (size_t)(N) : 0);
        at_least(&the_array[6], kept_.gate ? (size_t)(T*K) : 0);
        at_least(&the_array[7], kept_.p ? (size_t)(T*N) : 0);
        at_least(&the_array[8], kept_.queue ? (size_t)(T*K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, r, out, kept));
    }
    return the_function.status;
}

smoe_status smoe_capacity_gate_vjp(const smoe_capacity_shape *shape, const smoe_capacity_out *out, const smoe_capacity_kept *kept, const double *dweight, double *dr, double *work)
{
    static watched the_function = {.name = "smoe_capacity_gate_vjp"};
    smoe_status (*real_one)(const smoe_capacity_shape *shape, const smoe_capacity_out *out, const smoe_capacity_kept *kept, const double *dweight, double *dr, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, out, kept, dweight, dr, work);
    smoe_capacity_shape shape_ = *shape;
    shape = &shape_;
    smoe_capacity_out out_ = *out;
    out = &out_;
    smoe_capacity_kept kept_ = *kept;
    kept = &kept_;
    array_of the_array[] = {
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"out->index", 1, IS_REAL(*out_.index), sizeof *out_.index, 0, &out_.index},
        {"out->slot", 1, IS_REAL(*out_.slot), sizeof *out_.slot, 0, &out_.slot},
        {"kept->gate", 1, IS_REAL(*kept_.gate), sizeof *kept_.gate, 0, &kept_.gate},
        {"kept->p", 1, IS_REAL(*kept_.p), sizeof *kept_.p, 0, &kept_.p},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->priority", AN_ENUMERATOR, 0, &shape_.priority},
        {"shape->keep", AN_ENUMERATOR, 0, &shape_.keep},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {"shape->C", A_SIZE, 0, &shape_.C},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        at_least(&the_array[0], dweight ? (size_t)(T*K) : 0);
        at_least(&the_array[1], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[2], work ? (size_t)(T*K+N) : 0);
        at_least(&the_array[3], out_.index ? (size_t)(T*K) : 0);
        at_least(&the_array[4], out_.slot ? (size_t)(T*K) : 0);
        at_least(&the_array[5], kept_.gate ? (size_t)(T*K) : 0);
        at_least(&the_array[6], kept_.p ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, out, kept, dweight, dr, work));
    }
    return the_function.status;
}

smoe_status smoe_buffer_dispatch(size_t T, size_t d, size_t N, size_t K, size_t C, const double *x, const size_t *index, const size_t *slot, double *xe)
{
    static watched the_function = {.name = "smoe_buffer_dispatch"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, size_t K, size_t C, const double *x, const size_t *index, const size_t *slot, double *xe);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, K, C, x, index, slot, xe);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"slot", 1, IS_REAL(*slot), sizeof *slot, 0, &slot},
        {"xe", 0, IS_REAL(*xe), sizeof *xe, 0, &xe},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {"C", A_SIZE, 0, &C},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], index ? (size_t)(T*K) : 0);
        at_least(&the_array[2], slot ? (size_t)(T*K) : 0);
        at_least(&the_array[3], xe ? (size_t)(N*C*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, K, C, x, index, slot, xe));
    }
    return the_function.status;
}

smoe_status smoe_buffer_dispatch_vjp(size_t T, size_t d, size_t N, size_t K, size_t C, const size_t *index, const size_t *slot, const double *dxe, double *dx)
{
    static watched the_function = {.name = "smoe_buffer_dispatch_vjp"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, size_t K, size_t C, const size_t *index, const size_t *slot, const double *dxe, double *dx);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, K, C, index, slot, dxe, dx);
    array_of the_array[] = {
        {"dxe", 1, IS_REAL(*dxe), sizeof *dxe, 0, &dxe},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"slot", 1, IS_REAL(*slot), sizeof *slot, 0, &slot},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {"C", A_SIZE, 0, &C},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], dxe ? (size_t)(N*C*d) : 0);
        at_least(&the_array[1], index ? (size_t)(T*K) : 0);
        at_least(&the_array[2], slot ? (size_t)(T*K) : 0);
        at_least(&the_array[3], dx ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, K, C, index, slot, dxe, dx));
    }
    return the_function.status;
}

smoe_status smoe_buffer_combine(smoe_overflow overflow, size_t T, size_t d, size_t N, size_t K, size_t C, const double *o, const double *weight, const size_t *index, const size_t *slot, const double *x, double *y)
{
    static watched the_function = {.name = "smoe_buffer_combine"};
    smoe_status (*real_one)(smoe_overflow overflow, size_t T, size_t d, size_t N, size_t K, size_t C, const double *o, const double *weight, const size_t *index, const size_t *slot, const double *x, double *y);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(overflow, T, d, N, K, C, o, weight, index, slot, x, y);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"slot", 1, IS_REAL(*slot), sizeof *slot, 0, &slot},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
    };
    const knob_of the_knob[] = {
        {"overflow", AN_ENUMERATOR, 0, &overflow},
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {"C", A_SIZE, 0, &C},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*C*d) : 0);
        at_least(&the_array[1], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], slot ? (size_t)(T*K) : 0);
        at_least(&the_array[4], x ? (size_t)(T*d) : 0);
        at_least(&the_array[5], y ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(overflow, T, d, N, K, C, o, weight, index, slot, x, y));
    }
    return the_function.status;
}

smoe_status smoe_buffer_combine_vjp(smoe_overflow overflow, size_t T, size_t d, size_t N, size_t K, size_t C, const double *o, const double *weight, const size_t *index, const size_t *slot, const double *dy, double *do_, double *dweight, double *dx)
{
    static watched the_function = {.name = "smoe_buffer_combine_vjp"};
    smoe_status (*real_one)(smoe_overflow overflow, size_t T, size_t d, size_t N, size_t K, size_t C, const double *o, const double *weight, const size_t *index, const size_t *slot, const double *dy, double *do_, double *dweight, double *dx);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(overflow, T, d, N, K, C, o, weight, index, slot, dy, do_, dweight, dx);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"slot", 1, IS_REAL(*slot), sizeof *slot, 0, &slot},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
        {"dweight", 0, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
    };
    const knob_of the_knob[] = {
        {"overflow", AN_ENUMERATOR, 0, &overflow},
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {"C", A_SIZE, 0, &C},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 8, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*C*d) : 0);
        at_least(&the_array[1], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], slot ? (size_t)(T*K) : 0);
        at_least(&the_array[4], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[5], do_ ? (size_t)(N*C*d) : 0);
        at_least(&the_array[6], dweight ? (size_t)(T*K) : 0);
        at_least(&the_array[7], dx ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(overflow, T, d, N, K, C, o, weight, index, slot, dy, do_, dweight, dx));
    }
    return the_function.status;
}

smoe_status smoe_shared_layer(smoe_shared_form form, size_t M, const smoe_layer_shape *shape, const smoe_layer_in *in, const smoe_shared_in *shared, const smoe_layer_out *out, const smoe_layer_kept *kept, const smoe_shared_kept *shared_kept)
{
    static watched the_function = {.name = "smoe_shared_layer"};
    smoe_status (*real_one)(smoe_shared_form form, size_t M, const smoe_layer_shape *shape, const smoe_layer_in *in, const smoe_shared_in *shared, const smoe_layer_out *out, const smoe_layer_kept *kept, const smoe_shared_kept *shared_kept);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(form, M, shape, in, shared, out, kept, shared_kept);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    smoe_layer_in in_ = *in;
    in = &in_;
    smoe_shared_in shared_ = *shared;
    shared = &shared_;
    smoe_layer_out out_ = *out;
    out = &out_;
    smoe_layer_kept kept_ = *kept;
    kept = &kept_;
    smoe_shared_kept shared_kept_ = *shared_kept;
    shared_kept = &shared_kept_;
    array_of the_array[] = {
        {"in->x", 1, IS_REAL(*in_.x), sizeof *in_.x, 0, &in_.x},
        {"in->wr", 1, IS_REAL(*in_.wr), sizeof *in_.wr, 0, &in_.wr},
        {"in->br", 1, IS_REAL(*in_.br), sizeof *in_.br, 0, &in_.br},
        {"in->w1", 1, IS_REAL(*in_.w1), sizeof *in_.w1, 0, &in_.w1},
        {"in->b1", 1, IS_REAL(*in_.b1), sizeof *in_.b1, 0, &in_.b1},
        {"in->w2", 1, IS_REAL(*in_.w2), sizeof *in_.w2, 0, &in_.w2},
        {"in->b2", 1, IS_REAL(*in_.b2), sizeof *in_.b2, 0, &in_.b2},
        {"shared->w1", 1, IS_REAL(*shared_.w1), sizeof *shared_.w1, 0, &shared_.w1},
        {"shared->b1", 1, IS_REAL(*shared_.b1), sizeof *shared_.b1, 0, &shared_.b1},
        {"shared->w2", 1, IS_REAL(*shared_.w2), sizeof *shared_.w2, 0, &shared_.w2},
        {"shared->b2", 1, IS_REAL(*shared_.b2), sizeof *shared_.b2, 0, &shared_.b2},
        {"out->y", 0, IS_REAL(*out_.y), sizeof *out_.y, 0, &out_.y},
        {"out->r", 0, IS_REAL(*out_.r), sizeof *out_.r, 0, &out_.r},
        {"out->index", 0, IS_REAL(*out_.index), sizeof *out_.index, 0, &out_.index},
        {"out->weight", 0, IS_REAL(*out_.weight), sizeof *out_.weight, 0, &out_.weight},
        {"out->margin", 0, IS_REAL(*out_.margin), sizeof *out_.margin, 0, &out_.margin},
        {"kept->offset", 0, IS_REAL(*kept_.offset), sizeof *kept_.offset, 0, &kept_.offset},
        {"kept->slot", 0, IS_REAL(*kept_.slot), sizeof *kept_.slot, 0, &kept_.slot},
        {"kept->place", 0, IS_REAL(*kept_.place), sizeof *kept_.place, 0, &kept_.place},
        {"kept->p", 0, IS_REAL(*kept_.p), sizeof *kept_.p, 0, &kept_.p},
        {"kept->xs", 0, IS_REAL(*kept_.xs), sizeof *kept_.xs, 0, &kept_.xs},
        {"kept->o", 0, IS_REAL(*kept_.o), sizeof *kept_.o, 0, &kept_.o},
        {"kept->a", 0, IS_REAL(*kept_.a), sizeof *kept_.a, 0, &kept_.a},
        {"kept->u", 0, IS_REAL(*kept_.u), sizeof *kept_.u, 0, &kept_.u},
        {"shared_kept->a", 0, IS_REAL(*shared_kept_.a), sizeof *shared_kept_.a, 0, &shared_kept_.a},
        {"shared_kept->u", 0, IS_REAL(*shared_kept_.u), sizeof *shared_kept_.u, 0, &shared_kept_.u},
        {"shared_kept->e", 0, IS_REAL(*shared_kept_.e), sizeof *shared_kept_.e, 0, &shared_kept_.e},
        {"shared_kept->z", 0, IS_REAL(*shared_kept_.z), sizeof *shared_kept_.z, 0, &shared_kept_.z},
    };
    const knob_of the_knob[] = {
        {"form", AN_ENUMERATOR, 0, &form},
        {"M", A_SIZE, 0, &M},
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 28, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t d = shape->d;
        (void)d;
        const size_t h = shape->h;
        (void)h;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        at_least(&the_array[0], in_.x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], in_.wr ? (size_t)(N*d) : 0);
        at_least(&the_array[2], in_.br ? (size_t)(N) : 0);
        at_least(&the_array[3], in_.w1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[4], in_.b1 ? (size_t)(N*h) : 0);
        at_least(&the_array[5], in_.w2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[6], in_.b2 ? (size_t)(N*d) : 0);
        at_least(&the_array[7], shared_.w1 ? (size_t)(M*h*d) : 0);
        at_least(&the_array[8], shared_.b1 ? (size_t)(M*h) : 0);
        at_least(&the_array[9], shared_.w2 ? (size_t)(M*d*h) : 0);
        at_least(&the_array[10], shared_.b2 ? (size_t)(M*d) : 0);
        at_least(&the_array[11], out_.y ? (size_t)(T*d) : 0);
        at_least(&the_array[12], out_.r ? (size_t)(T*N) : 0);
        at_least(&the_array[13], out_.index ? (size_t)(T*K) : 0);
        at_least(&the_array[14], out_.weight ? (size_t)(T*K) : 0);
        at_least(&the_array[15], out_.margin ? (size_t)(T) : 0);
        at_least(&the_array[16], kept_.offset ? (size_t)(N + 1) : 0);
        at_least(&the_array[17], kept_.slot ? (size_t)(T*K) : 0);
        at_least(&the_array[18], kept_.place ? (size_t)(T*K) : 0);
        at_least(&the_array[19], kept_.p ? (size_t)(T*N) : 0);
        at_least(&the_array[20], kept_.xs ? (size_t)(T*K*d) : 0);
        at_least(&the_array[21], kept_.o ? (size_t)(T*K*d) : 0);
        at_least(&the_array[22], kept_.a ? (size_t)(T*K*h) : 0);
        at_least(&the_array[23], kept_.u ? (size_t)(T*K*h) : 0);
        at_least(&the_array[24], shared_kept_.a ? (size_t)(M*T*h) : 0);
        at_least(&the_array[25], shared_kept_.u ? (size_t)(M*T*h) : 0);
        at_least(&the_array[26], shared_kept_.e ? (size_t)(T*d) : 0);
        at_least(&the_array[27], shared_kept_.z ? (size_t)(T*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(form, M, shape, in, shared, out, kept, shared_kept));
    }
    return the_function.status;
}

smoe_status smoe_shared_layer_vjp(smoe_shared_form form, size_t M, const smoe_layer_shape *shape, const smoe_layer_in *in, const smoe_shared_in *shared, const smoe_layer_out *out, const smoe_layer_kept *kept, const smoe_shared_kept *shared_kept, const double *dy, const double *dweight, const smoe_layer_grad *grad, const smoe_shared_grad *shared_grad, double *work)
{
    static watched the_function = {.name = "smoe_shared_layer_vjp"};
    smoe_status (*real_one)(smoe_shared_form form, size_t M, const smoe_layer_shape *shape, const smoe_layer_in *in, const smoe_shared_in *shared, const smoe_layer_out *out, const smoe_layer_kept *kept, const smoe_shared_kept *shared_kept, const double *dy, const double *dweight, const smoe_layer_grad *grad, const smoe_shared_grad *shared_grad, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(form, M, shape, in, shared, out, kept, shared_kept, dy, dweight, grad, shared_grad, work);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    smoe_layer_in in_ = *in;
    in = &in_;
    smoe_shared_in shared_ = *shared;
    shared = &shared_;
    smoe_layer_out out_ = *out;
    out = &out_;
    smoe_layer_kept kept_ = *kept;
    kept = &kept_;
    smoe_shared_kept shared_kept_ = *shared_kept;
    shared_kept = &shared_kept_;
    smoe_layer_grad grad_ = *grad;
    grad = &grad_;
    smoe_shared_grad shared_grad_ = *shared_grad;
    shared_grad = &shared_grad_;
    array_of the_array[] = {
        {"in->x", 1, IS_REAL(*in_.x), sizeof *in_.x, 0, &in_.x},
        {"in->wr", 1, IS_REAL(*in_.wr), sizeof *in_.wr, 0, &in_.wr},
        {"in->br", 1, IS_REAL(*in_.br), sizeof *in_.br, 0, &in_.br},
        {"in->w1", 1, IS_REAL(*in_.w1), sizeof *in_.w1, 0, &in_.w1},
        {"in->b1", 1, IS_REAL(*in_.b1), sizeof *in_.b1, 0, &in_.b1},
        {"in->w2", 1, IS_REAL(*in_.w2), sizeof *in_.w2, 0, &in_.w2},
        {"in->b2", 1, IS_REAL(*in_.b2), sizeof *in_.b2, 0, &in_.b2},
        {"shared->w1", 1, IS_REAL(*shared_.w1), sizeof *shared_.w1, 0, &shared_.w1},
        {"shared->b1", 1, IS_REAL(*shared_.b1), sizeof *shared_.b1, 0, &shared_.b1},
        {"shared->w2", 1, IS_REAL(*shared_.w2), sizeof *shared_.w2, 0, &shared_.w2},
        {"shared->b2", 1, IS_REAL(*shared_.b2), sizeof *shared_.b2, 0, &shared_.b2},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"grad->x", 0, IS_REAL(*grad_.x), sizeof *grad_.x, 0, &grad_.x},
        {"grad->wr", 0, IS_REAL(*grad_.wr), sizeof *grad_.wr, 0, &grad_.wr},
        {"grad->br", 0, IS_REAL(*grad_.br), sizeof *grad_.br, 0, &grad_.br},
        {"grad->w1", 0, IS_REAL(*grad_.w1), sizeof *grad_.w1, 0, &grad_.w1},
        {"grad->b1", 0, IS_REAL(*grad_.b1), sizeof *grad_.b1, 0, &grad_.b1},
        {"grad->w2", 0, IS_REAL(*grad_.w2), sizeof *grad_.w2, 0, &grad_.w2},
        {"grad->b2", 0, IS_REAL(*grad_.b2), sizeof *grad_.b2, 0, &grad_.b2},
        {"shared_grad->w1", 0, IS_REAL(*shared_grad_.w1), sizeof *shared_grad_.w1, 0, &shared_grad_.w1},
        {"shared_grad->b1", 0, IS_REAL(*shared_grad_.b1), sizeof *shared_grad_.b1, 0, &shared_grad_.b1},
        {"shared_grad->w2", 0, IS_REAL(*shared_grad_.w2), sizeof *shared_grad_.w2, 0, &shared_grad_.w2},
        {"shared_grad->b2", 0, IS_REAL(*shared_grad_.b2), sizeof *shared_grad_.b2, 0, &shared_grad_.b2},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"form", AN_ENUMERATOR, 0, &form},
        {"M", A_SIZE, 0, &M},
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 25, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t d = shape->d;
        (void)d;
        const size_t h = shape->h;
        (void)h;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        at_least(&the_array[0], in_.x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], in_.wr ? (size_t)(N*d) : 0);
        at_least(&the_array[2], in_.br ? (size_t)(N) : 0);
        at_least(&the_array[3], in_.w1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[4], in_.b1 ? (size_t)(N*h) : 0);
        at_least(&the_array[5], in_.w2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[6], in_.b2 ? (size_t)(N*d) : 0);
        at_least(&the_array[7], shared_.w1 ? (size_t)(M*h*d) : 0);
        at_least(&the_array[8], shared_.b1 ? (size_t)(M*h) : 0);
        at_least(&the_array[9], shared_.w2 ? (size_t)(M*d*h) : 0);
        at_least(&the_array[10], shared_.b2 ? (size_t)(M*d) : 0);
        at_least(&the_array[11], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[12], dweight ? (size_t)(T*K) : 0);
        at_least(&the_array[13], grad_.x ? (size_t)(T*d) : 0);
        at_least(&the_array[14], grad_.wr ? (size_t)(N*d) : 0);
        at_least(&the_array[15], grad_.br ? (size_t)(N) : 0);
        at_least(&the_array[16], grad_.w1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[17], grad_.b1 ? (size_t)(N*h) : 0);
        at_least(&the_array[18], grad_.w2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[19], grad_.b2 ? (size_t)(N*d) : 0);
        at_least(&the_array[20], shared_grad_.w1 ? (size_t)(M*h*d) : 0);
        at_least(&the_array[21], shared_grad_.b1 ? (size_t)(M*h) : 0);
        at_least(&the_array[22], shared_grad_.w2 ? (size_t)(M*d*h) : 0);
        at_least(&the_array[23], shared_grad_.b2 ? (size_t)(M*d) : 0);
        at_least(&the_array[24], work ? (size_t)(3*T*d+T*h+T*K*(2*d+h+1)+T*N+N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(form, M, shape, in, shared, out, kept, shared_kept, dy, dweight, grad, shared_grad, work));
    }
    return the_function.status;
}

smoe_status smoe_max_violation(size_t A, size_t N, const size_t *count, double *violation)
{
    static watched the_function = {.name = "smoe_max_violation"};
    smoe_status (*real_one)(size_t A, size_t N, const size_t *count, double *violation);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(A, N, count, violation);
    array_of the_array[] = {
        {"count", 1, IS_REAL(*count), sizeof *count, 0, &count},
        {"violation", 0, IS_REAL(*violation), sizeof *violation, 0, &violation},
    };
    const knob_of the_knob[] = {
        {"A", A_SIZE, 0, &A},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], count ? (size_t)(N) : 0);
        at_least(&the_array[1], violation ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(A, N, count, violation));
    }
    return the_function.status;
}

smoe_status smoe_collapse(size_t T, size_t d, size_t N, const double *x, const size_t *index, double *rc, double *work, size_t *count)
{
    static watched the_function = {.name = "smoe_collapse"};
    smoe_status (*real_one)(size_t T, size_t d, size_t N, const double *x, const size_t *index, double *rc, double *work, size_t *count);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, d, N, x, index, rc, work, count);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"rc", 0, IS_REAL(*rc), sizeof *rc, 0, &rc},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"count", 0, IS_REAL(*count), sizeof *count, 0, &count},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"d", A_SIZE, 0, &d},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], index ? (size_t)(T) : 0);
        at_least(&the_array[2], rc ? (size_t)(1) : 0);
        at_least(&the_array[3], work ? (size_t)(N*(2*d+N+2)+2*d) : 0);
        at_least(&the_array[4], count ? (size_t)(2*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, d, N, x, index, rc, work, count));
    }
    return the_function.status;
}

smoe_status smoe_fluctuation(size_t T, const size_t *a, const size_t *b, double *rate)
{
    static watched the_function = {.name = "smoe_fluctuation"};
    smoe_status (*real_one)(size_t T, const size_t *a, const size_t *b, double *rate);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, a, b, rate);
    array_of the_array[] = {
        {"a", 1, IS_REAL(*a), sizeof *a, 0, &a},
        {"b", 1, IS_REAL(*b), sizeof *b, 0, &b},
        {"rate", 0, IS_REAL(*rate), sizeof *rate, 0, &rate},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], a ? (size_t)(T) : 0);
        at_least(&the_array[1], b ? (size_t)(T) : 0);
        at_least(&the_array[2], rate ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, a, b, rate));
    }
    return the_function.status;
}

smoe_status smoe_change_sets(size_t T, size_t K, const size_t *a, const size_t *b, double *rate)
{
    static watched the_function = {.name = "smoe_change_sets"};
    smoe_status (*real_one)(size_t T, size_t K, const size_t *a, const size_t *b, double *rate);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, K, a, b, rate);
    array_of the_array[] = {
        {"a", 1, IS_REAL(*a), sizeof *a, 0, &a},
        {"b", 1, IS_REAL(*b), sizeof *b, 0, &b},
        {"rate", 0, IS_REAL(*rate), sizeof *rate, 0, &rate},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], a ? (size_t)(T*K) : 0);
        at_least(&the_array[1], b ? (size_t)(T*K) : 0);
        at_least(&the_array[2], rate ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, K, a, b, rate));
    }
    return the_function.status;
}

smoe_status smoe_change_jaccard(size_t T, size_t K, const size_t *a, const size_t *b, double *rate)
{
    static watched the_function = {.name = "smoe_change_jaccard"};
    smoe_status (*real_one)(size_t T, size_t K, const size_t *a, const size_t *b, double *rate);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, K, a, b, rate);
    array_of the_array[] = {
        {"a", 1, IS_REAL(*a), sizeof *a, 0, &a},
        {"b", 1, IS_REAL(*b), sizeof *b, 0, &b},
        {"rate", 0, IS_REAL(*rate), sizeof *rate, 0, &rate},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], a ? (size_t)(T*K) : 0);
        at_least(&the_array[1], b ? (size_t)(T*K) : 0);
        at_least(&the_array[2], rate ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, K, a, b, rate));
    }
    return the_function.status;
}

smoe_status smoe_expert_load(size_t A, size_t N, const size_t *choice, size_t *count)
{
    static watched the_function = {.name = "smoe_expert_load"};
    smoe_status (*real_one)(size_t A, size_t N, const size_t *choice, size_t *count);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(A, N, choice, count);
    array_of the_array[] = {
        {"choice", 1, IS_REAL(*choice), sizeof *choice, 0, &choice},
        {"count", 0, IS_REAL(*count), sizeof *count, 0, &count},
    };
    const knob_of the_knob[] = {
        {"A", A_SIZE, 0, &A},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], choice ? (size_t)(A) : 0);
        at_least(&the_array[1], count ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(A, N, choice, count));
    }
    return the_function.status;
}

smoe_status smoe_expert_load_first(size_t A, size_t K, size_t N, const size_t *index, size_t *count)
{
    static watched the_function = {.name = "smoe_expert_load_first"};
    smoe_status (*real_one)(size_t A, size_t K, size_t N, const size_t *index, size_t *count);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(A, K, N, index, count);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"count", 0, IS_REAL(*count), sizeof *count, 0, &count},
    };
    const knob_of the_knob[] = {
        {"A", A_SIZE, 0, &A},
        {"K", A_SIZE, 0, &K},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(A) : 0);
        at_least(&the_array[1], count ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(A, K, N, index, count));
    }
    return the_function.status;
}

smoe_status smoe_load_fraction(size_t A, size_t N, const size_t *count, double *f)
{
    static watched the_function = {.name = "smoe_load_fraction"};
    smoe_status (*real_one)(size_t A, size_t N, const size_t *count, double *f);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(A, N, count, f);
    array_of the_array[] = {
        {"count", 1, IS_REAL(*count), sizeof *count, 0, &count},
        {"f", 0, IS_REAL(*f), sizeof *f, 0, &f},
    };
    const knob_of the_knob[] = {
        {"A", A_SIZE, 0, &A},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], count ? (size_t)(N) : 0);
        at_least(&the_array[1], f ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(A, N, count, f));
    }
    return the_function.status;
}

smoe_status smoe_mean_probability(size_t T, size_t N, const double *p, double *P)
{
    static watched the_function = {.name = "smoe_mean_probability"};
    smoe_status (*real_one)(size_t T, size_t N, const double *p, double *P);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, p, P);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"P", 0, IS_REAL(*P), sizeof *P, 0, &P},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], P ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, p, P));
    }
    return the_function.status;
}

smoe_status smoe_mean_probability_vjp(size_t T, size_t N, const double *dP, double *dp)
{
    static watched the_function = {.name = "smoe_mean_probability_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, const double *dP, double *dp);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, dP, dp);
    array_of the_array[] = {
        {"dP", 1, IS_REAL(*dP), sizeof *dP, 0, &dP},
        {"dp", 0, IS_REAL(*dp), sizeof *dp, 0, &dp},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], dP ? (size_t)(N) : 0);
        at_least(&the_array[1], dp ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, dP, dp));
    }
    return the_function.status;
}

smoe_status smoe_switch_loss(size_t N, const double *f, const double *P, double *loss)
{
    static watched the_function = {.name = "smoe_switch_loss"};
    smoe_status (*real_one)(size_t N, const double *f, const double *P, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, f, P, loss);
    array_of the_array[] = {
        {"f", 1, IS_REAL(*f), sizeof *f, 0, &f},
        {"P", 1, IS_REAL(*P), sizeof *P, 0, &P},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], f ? (size_t)(N) : 0);
        at_least(&the_array[1], P ? (size_t)(N) : 0);
        at_least(&the_array[2], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, f, P, loss));
    }
    return the_function.status;
}

smoe_status smoe_switch_loss_vjp(size_t N, const double *f, double dloss, double *dP)
{
    static watched the_function = {.name = "smoe_switch_loss_vjp"};
    smoe_status (*real_one)(size_t N, const double *f, double dloss, double *dP);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, f, dloss, dP);
    array_of the_array[] = {
        {"f", 1, IS_REAL(*f), sizeof *f, 0, &f},
        {"dP", 0, IS_REAL(*dP), sizeof *dP, 0, &dP},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], f ? (size_t)(N) : 0);
        at_least(&the_array[1], dP ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, f, dloss, dP));
    }
    return the_function.status;
}

smoe_status smoe_switch_loss_sequences(size_t B, size_t N, const double *f, const double *P, double *loss)
{
    static watched the_function = {.name = "smoe_switch_loss_sequences"};
    smoe_status (*real_one)(size_t B, size_t N, const double *f, const double *P, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(B, N, f, P, loss);
    array_of the_array[] = {
        {"f", 1, IS_REAL(*f), sizeof *f, 0, &f},
        {"P", 1, IS_REAL(*P), sizeof *P, 0, &P},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"B", A_SIZE, 0, &B},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], f ? (size_t)(B*N) : 0);
        at_least(&the_array[1], P ? (size_t)(B*N) : 0);
        at_least(&the_array[2], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(B, N, f, P, loss));
    }
    return the_function.status;
}

smoe_status smoe_switch_loss_sequences_vjp(size_t B, size_t N, const double *f, double dloss, double *dP)
{
    static watched the_function = {.name = "smoe_switch_loss_sequences_vjp"};
    smoe_status (*real_one)(size_t B, size_t N, const double *f, double dloss, double *dP);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(B, N, f, dloss, dP);
    array_of the_array[] = {
        {"f", 1, IS_REAL(*f), sizeof *f, 0, &f},
        {"dP", 0, IS_REAL(*dP), sizeof *dP, 0, &dP},
    };
    const knob_of the_knob[] = {
        {"B", A_SIZE, 1, &B},
        {"N", A_SIZE, 1, &N},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], f ? (size_t)(B*N) : 0);
        at_least(&the_array[1], dP ? (size_t)(B*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(B, N, f, dloss, dP));
    }
    return the_function.status;
}

smoe_status smoe_balance_loss(size_t B, size_t S, size_t N, const double *z, const double *f, double *p, double *P, double *loss)
{
    static watched the_function = {.name = "smoe_balance_loss"};
    smoe_status (*real_one)(size_t B, size_t S, size_t N, const double *z, const double *f, double *p, double *P, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(B, S, N, z, f, p, P, loss);
    array_of the_array[] = {
        {"z", 1, IS_REAL(*z), sizeof *z, 0, &z},
        {"f", 1, IS_REAL(*f), sizeof *f, 0, &f},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
        {"P", 0, IS_REAL(*P), sizeof *P, 0, &P},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"B", A_SIZE, 1, &B},
        {"S", A_SIZE, 1, &S},
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], z ? (size_t)(B*S*N) : 0);
        at_least(&the_array[1], f ? (size_t)(B*N) : 0);
        at_least(&the_array[2], p ? (size_t)(B*S*N) : 0);
        at_least(&the_array[3], P ? (size_t)(B*N) : 0);
        at_least(&the_array[4], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(B, S, N, z, f, p, P, loss));
    }
    return the_function.status;
}

smoe_status smoe_balance_loss_vjp(size_t B, size_t S, size_t N, const double *f, const double *p, double dloss, const double *dP, double *dp, double *dz)
{
    static watched the_function = {.name = "smoe_balance_loss_vjp"};
    smoe_status (*real_one)(size_t B, size_t S, size_t N, const double *f, const double *p, double dloss, const double *dP, double *dp, double *dz);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(B, S, N, f, p, dloss, dP, dp, dz);
    array_of the_array[] = {
        {"f", 1, IS_REAL(*f), sizeof *f, 0, &f},
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"dP", 1, IS_REAL(*dP), sizeof *dP, 0, &dP},
        {"dp", 0, IS_REAL(*dp), sizeof *dp, 0, &dp},
        {"dz", 0, IS_REAL(*dz), sizeof *dz, 0, &dz},
    };
    const knob_of the_knob[] = {
        {"B", A_SIZE, 1, &B},
        {"S", A_SIZE, 1, &S},
        {"N", A_SIZE, 1, &N},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], f ? (size_t)(B*N) : 0);
        at_least(&the_array[1], p ? (size_t)(B*S*N) : 0);
        at_least(&the_array[2], dP ? (size_t)(B*N) : 0);
        at_least(&the_array[3], dp ? (size_t)(N) : 0);
        at_least(&the_array[4], dz ? (size_t)(B*S*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(B, S, N, f, p, dloss, dP, dp, dz));
    }
    return the_function.status;
}

smoe_status smoe_z_loss(size_t T, size_t N, const double *r, double *lse, double *loss)
{
    static watched the_function = {.name = "smoe_z_loss"};
    smoe_status (*real_one)(size_t T, size_t N, const double *r, double *lse, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, r, lse, loss);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"lse", 0, IS_REAL(*lse), sizeof *lse, 0, &lse},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], lse ? (size_t)(T) : 0);
        at_least(&the_array[2], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, r, lse, loss));
    }
    return the_function.status;
}

smoe_status smoe_z_loss_vjp(size_t T, size_t N, const double *r, const double *lse, double dloss, double *dr)
{
    static watched the_function = {.name = "smoe_z_loss_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, const double *r, const double *lse, double dloss, double *dr);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, r, lse, dloss, dr);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"lse", 1, IS_REAL(*lse), sizeof *lse, 0, &lse},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], lse ? (size_t)(T) : 0);
        at_least(&the_array[2], dr ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, r, lse, dloss, dr));
    }
    return the_function.status;
}

smoe_status smoe_real_tokens(size_t T, const double *mask, size_t *ones)
{
    static watched the_function = {.name = "smoe_real_tokens"};
    smoe_status (*real_one)(size_t T, const double *mask, size_t *ones);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, mask, ones);
    array_of the_array[] = {
        {"mask", 1, IS_REAL(*mask), sizeof *mask, 0, &mask},
        {"ones", 0, IS_REAL(*ones), sizeof *ones, 0, &ones},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], mask ? (size_t)(T) : 0);
        at_least(&the_array[1], ones ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, mask, ones));
    }
    return the_function.status;
}

smoe_status smoe_expert_load_masked(size_t T, size_t K, size_t J, size_t N, const size_t *index, const double *mask, size_t *count)
{
    static watched the_function = {.name = "smoe_expert_load_masked"};
    smoe_status (*real_one)(size_t T, size_t K, size_t J, size_t N, const size_t *index, const double *mask, size_t *count);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, K, J, N, index, mask, count);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"mask", 1, IS_REAL(*mask), sizeof *mask, 0, &mask},
        {"count", 0, IS_REAL(*count), sizeof *count, 0, &count},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"K", A_SIZE, 0, &K},
        {"J", A_SIZE, 0, &J},
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(T*K) : 0);
        at_least(&the_array[1], mask ? (size_t)(T) : 0);
        at_least(&the_array[2], count ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, K, J, N, index, mask, count));
    }
    return the_function.status;
}

smoe_status smoe_mean_probability_masked(size_t T, size_t N, const double *p, const double *mask, double *P)
{
    static watched the_function = {.name = "smoe_mean_probability_masked"};
    smoe_status (*real_one)(size_t T, size_t N, const double *p, const double *mask, double *P);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, p, mask, P);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"P", 0, IS_REAL(*P), sizeof *P, 0, &P},
        {"mask", 1, IS_REAL(*mask), sizeof *mask, 0, &mask},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], P ? (size_t)(N) : 0);
        at_least(&the_array[2], mask ? (size_t)(T) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, p, mask, P));
    }
    return the_function.status;
}

smoe_status smoe_balance_groups(size_t B, size_t S, size_t N, const double *z, const double *mask, const double *f, double *p, double *P, size_t *groups, double *sum)
{
    static watched the_function = {.name = "smoe_balance_groups"};
    smoe_status (*real_one)(size_t B, size_t S, size_t N, const double *z, const double *mask, const double *f, double *p, double *P, size_t *groups, double *sum);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(B, S, N, z, mask, f, p, P, groups, sum);
    array_of the_array[] = {
        {"z", 1, IS_REAL(*z), sizeof *z, 0, &z},
        {"f", 1, IS_REAL(*f), sizeof *f, 0, &f},
        {"mask", 1, IS_REAL(*mask), sizeof *mask, 0, &mask},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
        {"P", 0, IS_REAL(*P), sizeof *P, 0, &P},
        {"sum", 0, IS_REAL(*sum), sizeof *sum, 0, &sum},
        {"groups", 0, IS_REAL(*groups), sizeof *groups, 0, &groups},
    };
    const knob_of the_knob[] = {
        {"B", A_SIZE, 1, &B},
        {"S", A_SIZE, 1, &S},
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], z ? (size_t)(B*S*N) : 0);
        at_least(&the_array[1], f ? (size_t)(B*N) : 0);
        at_least(&the_array[2], mask ? (size_t)(B*S) : 0);
        at_least(&the_array[3], p ? (size_t)(B*S*N) : 0);
        at_least(&the_array[4], P ? (size_t)(B*N) : 0);
        at_least(&the_array[5], sum ? (size_t)(1) : 0);
        at_least(&the_array[6], groups ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(B, S, N, z, mask, f, p, P, groups, sum));
    }
    return the_function.status;
}

smoe_status smoe_balance_groups_vjp(size_t B, size_t S, size_t N, const double *f, const double *p, const double *mask, double dsum, double *dp, double *dz)
{
    static watched the_function = {.name = "smoe_balance_groups_vjp"};
    smoe_status (*real_one)(size_t B, size_t S, size_t N, const double *f, const double *p, const double *mask, double dsum, double *dp, double *dz);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(B, S, N, f, p, mask, dsum, dp, dz);
    array_of the_array[] = {
        {"f", 1, IS_REAL(*f), sizeof *f, 0, &f},
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"mask", 1, IS_REAL(*mask), sizeof *mask, 0, &mask},
        {"dp", 0, IS_REAL(*dp), sizeof *dp, 0, &dp},
        {"dz", 0, IS_REAL(*dz), sizeof *dz, 0, &dz},
    };
    const knob_of the_knob[] = {
        {"B", A_SIZE, 1, &B},
        {"S", A_SIZE, 1, &S},
        {"N", A_SIZE, 1, &N},
        {"dsum", A_NUMBER, 0, &dsum},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], f ? (size_t)(B*N) : 0);
        at_least(&the_array[1], p ? (size_t)(B*S*N) : 0);
        at_least(&the_array[2], mask ? (size_t)(B*S) : 0);
        at_least(&the_array[3], dp ? (size_t)(N) : 0);
        at_least(&the_array[4], dz ? (size_t)(B*S*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(B, S, N, f, p, mask, dsum, dp, dz));
    }
    return the_function.status;
}

smoe_status smoe_mean_softmax(size_t T, size_t N, const double *z, double *p, double *P)
{
    static watched the_function = {.name = "smoe_mean_softmax"};
    smoe_status (*real_one)(size_t T, size_t N, const double *z, double *p, double *P);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, z, p, P);
    array_of the_array[] = {
        {"z", 1, IS_REAL(*z), sizeof *z, 0, &z},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
        {"P", 0, IS_REAL(*P), sizeof *P, 0, &P},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], z ? (size_t)(T*N) : 0);
        at_least(&the_array[1], p ? (size_t)(T*N) : 0);
        at_least(&the_array[2], P ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, z, p, P));
    }
    return the_function.status;
}

smoe_status smoe_mean_softmax_vjp(size_t T, size_t N, const double *p, const double *dP, double *dp, double *dz)
{
    static watched the_function = {.name = "smoe_mean_softmax_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, const double *p, const double *dP, double *dp, double *dz);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, p, dP, dp, dz);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"dP", 1, IS_REAL(*dP), sizeof *dP, 0, &dP},
        {"dp", 0, IS_REAL(*dp), sizeof *dp, 0, &dp},
        {"dz", 0, IS_REAL(*dz), sizeof *dz, 0, &dz},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], dP ? (size_t)(N) : 0);
        at_least(&the_array[2], dp ? (size_t)(N) : 0);
        at_least(&the_array[3], dz ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, p, dP, dp, dz));
    }
    return the_function.status;
}

smoe_status smoe_cv_squared(size_t N, const double *v, double epsilon, double *loss)
{
    static watched the_function = {.name = "smoe_cv_squared"};
    smoe_status (*real_one)(size_t N, const double *v, double epsilon, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, v, epsilon, loss);
    array_of the_array[] = {
        {"v", 1, IS_REAL(*v), sizeof *v, 0, &v},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"epsilon", A_NUMBER, 0, &epsilon},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], v ? (size_t)(N) : 0);
        at_least(&the_array[1], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, v, epsilon, loss));
    }
    return the_function.status;
}

smoe_status smoe_cv_squared_unbiased(size_t N, const double *v, double epsilon, double *loss)
{
    static watched the_function = {.name = "smoe_cv_squared_unbiased"};
    smoe_status (*real_one)(size_t N, const double *v, double epsilon, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, v, epsilon, loss);
    array_of the_array[] = {
        {"v", 1, IS_REAL(*v), sizeof *v, 0, &v},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"epsilon", A_NUMBER, 0, &epsilon},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], v ? (size_t)(N) : 0);
        at_least(&the_array[1], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, v, epsilon, loss));
    }
    return the_function.status;
}

smoe_status smoe_cv_squared_vjp(size_t N, const double *v, double epsilon, double dloss, double *dv)
{
    static watched the_function = {.name = "smoe_cv_squared_vjp"};
    smoe_status (*real_one)(size_t N, const double *v, double epsilon, double dloss, double *dv);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, v, epsilon, dloss, dv);
    array_of the_array[] = {
        {"v", 1, IS_REAL(*v), sizeof *v, 0, &v},
        {"dv", 0, IS_REAL(*dv), sizeof *dv, 0, &dv},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"epsilon", A_NUMBER, 0, &epsilon},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], v ? (size_t)(N) : 0);
        at_least(&the_array[1], dv ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, v, epsilon, dloss, dv));
    }
    return the_function.status;
}

smoe_status smoe_cv_squared_unbiased_vjp(size_t N, const double *v, double epsilon, double dloss, double *dv)
{
    static watched the_function = {.name = "smoe_cv_squared_unbiased_vjp"};
    smoe_status (*real_one)(size_t N, const double *v, double epsilon, double dloss, double *dv);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, v, epsilon, dloss, dv);
    array_of the_array[] = {
        {"v", 1, IS_REAL(*v), sizeof *v, 0, &v},
        {"dv", 0, IS_REAL(*dv), sizeof *dv, 0, &dv},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"epsilon", A_NUMBER, 0, &epsilon},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], v ? (size_t)(N) : 0);
        at_least(&the_array[1], dv ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, v, epsilon, dloss, dv));
    }
    return the_function.status;
}

smoe_status smoe_importance(size_t T, size_t N, const double *g, double *v)
{
    static watched the_function = {.name = "smoe_importance"};
    smoe_status (*real_one)(size_t T, size_t N, const double *g, double *v);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, g, v);
    array_of the_array[] = {
        {"g", 1, IS_REAL(*g), sizeof *g, 0, &g},
        {"v", 0, IS_REAL(*v), sizeof *v, 0, &v},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], g ? (size_t)(T*N) : 0);
        at_least(&the_array[1], v ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, g, v));
    }
    return the_function.status;
}

smoe_status smoe_importance_vjp(size_t T, size_t N, const double *dv, double *dg)
{
    static watched the_function = {.name = "smoe_importance_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, const double *dv, double *dg);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, dv, dg);
    array_of the_array[] = {
        {"dv", 1, IS_REAL(*dv), sizeof *dv, 0, &dv},
        {"dg", 0, IS_REAL(*dg), sizeof *dg, 0, &dg},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], dv ? (size_t)(N) : 0);
        at_least(&the_array[1], dg ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, dv, dg));
    }
    return the_function.status;
}

smoe_status smoe_load_token(size_t N, size_t K, const size_t *order, const double *clean, const double *noisy, const double *std, double *P)
{
    static watched the_function = {.name = "smoe_load_token"};
    smoe_status (*real_one)(size_t N, size_t K, const size_t *order, const double *clean, const double *noisy, const double *std, double *P);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, order, clean, noisy, std, P);
    array_of the_array[] = {
        {"order", 1, IS_REAL(*order), sizeof *order, 0, &order},
        {"clean", 1, IS_REAL(*clean), sizeof *clean, 0, &clean},
        {"noisy", 1, IS_REAL(*noisy), sizeof *noisy, 0, &noisy},
        {"std", 1, IS_REAL(*std), sizeof *std, 0, &std},
        {"P", 0, IS_REAL(*P), sizeof *P, 0, &P},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], order ? (size_t)(K + 1) : 0);
        at_least(&the_array[1], clean ? (size_t)(N) : 0);
        at_least(&the_array[2], noisy ? (size_t)(N) : 0);
        at_least(&the_array[3], std ? (size_t)(N) : 0);
        at_least(&the_array[4], P ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, order, clean, noisy, std, P));
    }
    return the_function.status;
}

smoe_status smoe_load_token_vjp(size_t N, size_t K, const size_t *order, const double *clean, const double *noisy, const double *std, const double *dP, double *dclean, double *dnoisy, double *dstd)
{
    static watched the_function = {.name = "smoe_load_token_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, const size_t *order, const double *clean, const double *noisy, const double *std, const double *dP, double *dclean, double *dnoisy, double *dstd);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, order, clean, noisy, std, dP, dclean, dnoisy, dstd);
    array_of the_array[] = {
        {"order", 1, IS_REAL(*order), sizeof *order, 0, &order},
        {"clean", 1, IS_REAL(*clean), sizeof *clean, 0, &clean},
        {"noisy", 1, IS_REAL(*noisy), sizeof *noisy, 0, &noisy},
        {"std", 1, IS_REAL(*std), sizeof *std, 0, &std},
        {"dP", 1, IS_REAL(*dP), sizeof *dP, 0, &dP},
        {"dclean", 0, IS_REAL(*dclean), sizeof *dclean, 0, &dclean},
        {"dnoisy", 0, IS_REAL(*dnoisy), sizeof *dnoisy, 0, &dnoisy},
        {"dstd", 0, IS_REAL(*dstd), sizeof *dstd, 0, &dstd},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 8, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], order ? (size_t)(K + 1) : 0);
        at_least(&the_array[1], clean ? (size_t)(N) : 0);
        at_least(&the_array[2], noisy ? (size_t)(N) : 0);
        at_least(&the_array[3], std ? (size_t)(N) : 0);
        at_least(&the_array[4], dP ? (size_t)(N) : 0);
        at_least(&the_array[5], dclean ? (size_t)(N) : 0);
        at_least(&the_array[6], dnoisy ? (size_t)(N) : 0);
        at_least(&the_array[7], dstd ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, order, clean, noisy, std, dP, dclean, dnoisy, dstd));
    }
    return the_function.status;
}

smoe_status smoe_noisy_load(size_t T, size_t N, size_t K, const double *clean, const double *noisy, const double *std, size_t *order, double *value, double *P, double *load)
{
    static watched the_function = {.name = "smoe_noisy_load"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, const double *clean, const double *noisy, const double *std, size_t *order, double *value, double *P, double *load);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, clean, noisy, std, order, value, P, load);
    array_of the_array[] = {
        {"clean", 1, IS_REAL(*clean), sizeof *clean, 0, &clean},
        {"noisy", 1, IS_REAL(*noisy), sizeof *noisy, 0, &noisy},
        {"std", 1, IS_REAL(*std), sizeof *std, 0, &std},
        {"order", 0, IS_REAL(*order), sizeof *order, 0, &order},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
        {"P", 0, IS_REAL(*P), sizeof *P, 0, &P},
        {"load", 0, IS_REAL(*load), sizeof *load, 0, &load},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], clean ? (size_t)(T*N) : 0);
        at_least(&the_array[1], noisy ? (size_t)(T*N) : 0);
        at_least(&the_array[2], std ? (size_t)(T*N) : 0);
        at_least(&the_array[3], order ? (size_t)(K + 1) : 0);
        at_least(&the_array[4], value ? (size_t)(K + 1) : 0);
        at_least(&the_array[5], P ? (size_t)(N) : 0);
        at_least(&the_array[6], load ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, clean, noisy, std, order, value, P, load));
    }
    return the_function.status;
}

smoe_status smoe_noisy_load_vjp(size_t T, size_t N, size_t K, const double *clean, const double *noisy, const double *std, const double *dload, size_t *order, double *value, double *dclean, double *dnoisy, double *dstd)
{
    static watched the_function = {.name = "smoe_noisy_load_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, const double *clean, const double *noisy, const double *std, const double *dload, size_t *order, double *value, double *dclean, double *dnoisy, double *dstd);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, clean, noisy, std, dload, order, value, dclean, dnoisy, dstd);
    array_of the_array[] = {
        {"clean", 1, IS_REAL(*clean), sizeof *clean, 0, &clean},
        {"noisy", 1, IS_REAL(*noisy), sizeof *noisy, 0, &noisy},
        {"std", 1, IS_REAL(*std), sizeof *std, 0, &std},
        {"order", 0, IS_REAL(*order), sizeof *order, 0, &order},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
        {"dload", 1, IS_REAL(*dload), sizeof *dload, 0, &dload},
        {"dclean", 0, IS_REAL(*dclean), sizeof *dclean, 0, &dclean},
        {"dnoisy", 0, IS_REAL(*dnoisy), sizeof *dnoisy, 0, &dnoisy},
        {"dstd", 0, IS_REAL(*dstd), sizeof *dstd, 0, &dstd},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 9, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], clean ? (size_t)(T*N) : 0);
        at_least(&the_array[1], noisy ? (size_t)(T*N) : 0);
        at_least(&the_array[2], std ? (size_t)(T*N) : 0);
        at_least(&the_array[3], order ? (size_t)(K + 1) : 0);
        at_least(&the_array[4], value ? (size_t)(K + 1) : 0);
        at_least(&the_array[5], dload ? (size_t)(N) : 0);
        at_least(&the_array[6], dclean ? (size_t)(T*N) : 0);
        at_least(&the_array[7], dnoisy ? (size_t)(T*N) : 0);
        at_least(&the_array[8], dstd ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, clean, noisy, std, dload, order, value, dclean, dnoisy, dstd));
    }
    return the_function.status;
}

smoe_status smoe_noisy_load_detached_vjp(size_t T, size_t N, size_t K, const double *clean, const double *noisy, const double *std, const double *dload, size_t *order, double *value, double *dclean, double *dnoisy, double *dstd)
{
    static watched the_function = {.name = "smoe_noisy_load_detached_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, const double *clean, const double *noisy, const double *std, const double *dload, size_t *order, double *value, double *dclean, double *dnoisy, double *dstd);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, clean, noisy, std, dload, order, value, dclean, dnoisy, dstd);
    array_of the_array[] = {
        {"clean", 1, IS_REAL(*clean), sizeof *clean, 0, &clean},
        {"noisy", 1, IS_REAL(*noisy), sizeof *noisy, 0, &noisy},
        {"std", 1, IS_REAL(*std), sizeof *std, 0, &std},
        {"order", 0, IS_REAL(*order), sizeof *order, 0, &order},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
        {"dload", 1, IS_REAL(*dload), sizeof *dload, 0, &dload},
        {"dclean", 0, IS_REAL(*dclean), sizeof *dclean, 0, &dclean},
        {"dnoisy", 0, IS_REAL(*dnoisy), sizeof *dnoisy, 0, &dnoisy},
        {"dstd", 0, IS_REAL(*dstd), sizeof *dstd, 0, &dstd},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 9, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], clean ? (size_t)(T*N) : 0);
        at_least(&the_array[1], noisy ? (size_t)(T*N) : 0);
        at_least(&the_array[2], std ? (size_t)(T*N) : 0);
        at_least(&the_array[3], order ? (size_t)(K + 1) : 0);
        at_least(&the_array[4], value ? (size_t)(K + 1) : 0);
        at_least(&the_array[5], dload ? (size_t)(N) : 0);
        at_least(&the_array[6], dclean ? (size_t)(T*N) : 0);
        at_least(&the_array[7], dnoisy ? (size_t)(T*N) : 0);
        at_least(&the_array[8], dstd ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, clean, noisy, std, dload, order, value, dclean, dnoisy, dstd));
    }
    return the_function.status;
}

smoe_status smoe_gshard_loss(size_t N, const double *f, const double *m, double *loss)
{
    static watched the_function = {.name = "smoe_gshard_loss"};
    smoe_status (*real_one)(size_t N, const double *f, const double *m, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, f, m, loss);
    array_of the_array[] = {
        {"f", 1, IS_REAL(*f), sizeof *f, 0, &f},
        {"m", 1, IS_REAL(*m), sizeof *m, 0, &m},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], f ? (size_t)(N) : 0);
        at_least(&the_array[1], m ? (size_t)(N) : 0);
        at_least(&the_array[2], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, f, m, loss));
    }
    return the_function.status;
}

smoe_status smoe_gshard_loss_vjp(size_t N, const double *f, double dloss, double *dm)
{
    static watched the_function = {.name = "smoe_gshard_loss_vjp"};
    smoe_status (*real_one)(size_t N, const double *f, double dloss, double *dm);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, f, dloss, dm);
    array_of the_array[] = {
        {"f", 1, IS_REAL(*f), sizeof *f, 0, &f},
        {"dm", 0, IS_REAL(*dm), sizeof *dm, 0, &dm},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], f ? (size_t)(N) : 0);
        at_least(&the_array[1], dm ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, f, dloss, dm));
    }
    return the_function.status;
}

smoe_status smoe_temperature(size_t n, const double *s, double tau, double *z)
{
    static watched the_function = {.name = "smoe_temperature"};
    smoe_status (*real_one)(size_t n, const double *s, double tau, double *z);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, s, tau, z);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"z", 0, IS_REAL(*z), sizeof *z, 0, &z},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"tau", A_NUMBER, 0, &tau},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(n) : 0);
        at_least(&the_array[1], z ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, s, tau, z));
    }
    return the_function.status;
}

smoe_status smoe_temperature_vjp(size_t n, double tau, const double *dz, double *ds)
{
    static watched the_function = {.name = "smoe_temperature_vjp"};
    smoe_status (*real_one)(size_t n, double tau, const double *dz, double *ds);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, tau, dz, ds);
    array_of the_array[] = {
        {"dz", 1, IS_REAL(*dz), sizeof *dz, 0, &dz},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"tau", A_NUMBER, 0, &tau},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], dz ? (size_t)(n) : 0);
        at_least(&the_array[1], ds ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, tau, dz, ds));
    }
    return the_function.status;
}

smoe_status smoe_excess(size_t T, size_t N, const size_t *count, double *e)
{
    static watched the_function = {.name = "smoe_excess"};
    smoe_status (*real_one)(size_t T, size_t N, const size_t *count, double *e);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, count, e);
    array_of the_array[] = {
        {"count", 1, IS_REAL(*count), sizeof *count, 0, &count},
        {"e", 0, IS_REAL(*e), sizeof *e, 0, &e},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], count ? (size_t)(N) : 0);
        at_least(&the_array[1], e ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, count, e));
    }
    return the_function.status;
}

smoe_status smoe_stable_loss(size_t T, size_t N, const double *s, const size_t *choice, const double *e, double alpha, double *g, double *loss)
{
    static watched the_function = {.name = "smoe_stable_loss"};
    smoe_status (*real_one)(size_t T, size_t N, const double *s, const size_t *choice, const double *e, double alpha, double *g, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, s, choice, e, alpha, g, loss);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"choice", 1, IS_REAL(*choice), sizeof *choice, 0, &choice},
        {"e", 1, IS_REAL(*e), sizeof *e, 0, &e},
        {"g", 0, IS_REAL(*g), sizeof *g, 0, &g},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {"alpha", A_NUMBER, 0, &alpha},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(T*N) : 0);
        at_least(&the_array[1], choice ? (size_t)(T) : 0);
        at_least(&the_array[2], e ? (size_t)(N) : 0);
        at_least(&the_array[3], g ? (size_t)(N) : 0);
        at_least(&the_array[4], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, s, choice, e, alpha, g, loss));
    }
    return the_function.status;
}

smoe_status smoe_stable_loss_vjp(size_t T, size_t N, const double *s, const size_t *choice, const double *e, double alpha, double dloss, double *ds)
{
    static watched the_function = {.name = "smoe_stable_loss_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, const double *s, const size_t *choice, const double *e, double alpha, double dloss, double *ds);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, s, choice, e, alpha, dloss, ds);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"choice", 1, IS_REAL(*choice), sizeof *choice, 0, &choice},
        {"e", 1, IS_REAL(*e), sizeof *e, 0, &e},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {"alpha", A_NUMBER, 0, &alpha},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(T*N) : 0);
        at_least(&the_array[1], choice ? (size_t)(T) : 0);
        at_least(&the_array[2], e ? (size_t)(N) : 0);
        at_least(&the_array[3], ds ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, s, choice, e, alpha, dloss, ds));
    }
    return the_function.status;
}

smoe_status smoe_negative_entropy(size_t N, const double *P, double *loss)
{
    static watched the_function = {.name = "smoe_negative_entropy"};
    smoe_status (*real_one)(size_t N, const double *P, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, P, loss);
    array_of the_array[] = {
        {"P", 1, IS_REAL(*P), sizeof *P, 0, &P},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], P ? (size_t)(N) : 0);
        at_least(&the_array[1], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, P, loss));
    }
    return the_function.status;
}

smoe_status smoe_negative_entropy_vjp(size_t N, const double *P, double dloss, double *dP)
{
    static watched the_function = {.name = "smoe_negative_entropy_vjp"};
    smoe_status (*real_one)(size_t N, const double *P, double dloss, double *dP);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, P, dloss, dP);
    array_of the_array[] = {
        {"P", 1, IS_REAL(*P), sizeof *P, 0, &P},
        {"dP", 0, IS_REAL(*dP), sizeof *dP, 0, &dP},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], P ? (size_t)(N) : 0);
        at_least(&the_array[1], dP ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, P, dloss, dP));
    }
    return the_function.status;
}

smoe_status smoe_affinity_share(size_t N, const double *s, double *p)
{
    static watched the_function = {.name = "smoe_affinity_share"};
    smoe_status (*real_one)(size_t N, const double *s, double *p);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, s, p);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], p ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, s, p));
    }
    return the_function.status;
}

smoe_status smoe_affinity_share_vjp(size_t N, const double *s, const double *p, const double *dp, double *ds)
{
    static watched the_function = {.name = "smoe_affinity_share_vjp"};
    smoe_status (*real_one)(size_t N, const double *s, const double *p, const double *dp, double *ds);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, s, p, dp, ds);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"dp", 1, IS_REAL(*dp), sizeof *dp, 0, &dp},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], p ? (size_t)(N) : 0);
        at_least(&the_array[2], dp ? (size_t)(N) : 0);
        at_least(&the_array[3], ds ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, s, p, dp, ds));
    }
    return the_function.status;
}

smoe_status smoe_bias_update(size_t N, const double *load, const double *bias, double gamma, double *updated)
{
    static watched the_function = {.name = "smoe_bias_update"};
    smoe_status (*real_one)(size_t N, const double *load, const double *bias, double gamma, double *updated);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, load, bias, gamma, updated);
    array_of the_array[] = {
        {"load", 1, IS_REAL(*load), sizeof *load, 0, &load},
        {"bias", 1, IS_REAL(*bias), sizeof *bias, 0, &bias},
        {"updated", 0, IS_REAL(*updated), sizeof *updated, 0, &updated},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"gamma", A_NUMBER, 0, &gamma},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], load ? (size_t)(N) : 0);
        at_least(&the_array[1], bias ? (size_t)(N) : 0);
        at_least(&the_array[2], updated ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, load, bias, gamma, updated));
    }
    return the_function.status;
}

smoe_status smoe_accumulate_load(size_t N, const size_t *count, size_t *total)
{
    static watched the_function = {.name = "smoe_accumulate_load"};
    smoe_status (*real_one)(size_t N, const size_t *count, size_t *total);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, count, total);
    array_of the_array[] = {
        {"count", 1, IS_REAL(*count), sizeof *count, 0, &count},
        {"total", 0, IS_REAL(*total), sizeof *total, 0, &total},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], count ? (size_t)(N) : 0);
        at_least(&the_array[1], total ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, count, total));
    }
    return the_function.status;
}

smoe_status smoe_response_softplus(size_t N, size_t d, const double *o, double *s)
{
    static watched the_function = {.name = "smoe_response_softplus"};
    smoe_status (*real_one)(size_t N, size_t d, const double *o, double *s);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, d, o, s);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"s", 0, IS_REAL(*s), sizeof *s, 0, &s},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*d) : 0);
        at_least(&the_array[1], s ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, d, o, s));
    }
    return the_function.status;
}

smoe_status smoe_response_softplus_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_)
{
    static watched the_function = {.name = "smoe_response_softplus_vjp"};
    smoe_status (*real_one)(size_t N, size_t d, const double *o, const double *ds, double *do_);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, d, o, ds, do_);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"ds", 1, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*d) : 0);
        at_least(&the_array[1], ds ? (size_t)(N) : 0);
        at_least(&the_array[2], do_ ? (size_t)(N*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, d, o, ds, do_));
    }
    return the_function.status;
}

smoe_status smoe_response_norm(size_t N, size_t d, const double *o, double *s)
{
    static watched the_function = {.name = "smoe_response_norm"};
    smoe_status (*real_one)(size_t N, size_t d, const double *o, double *s);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, d, o, s);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"s", 0, IS_REAL(*s), sizeof *s, 0, &s},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*d) : 0);
        at_least(&the_array[1], s ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, d, o, s));
    }
    return the_function.status;
}

smoe_status smoe_response_norm_vjp(size_t N, size_t d, const double *o, const double *s, const double *ds, double *do_)
{
    static watched the_function = {.name = "smoe_response_norm_vjp"};
    smoe_status (*real_one)(size_t N, size_t d, const double *o, const double *s, const double *ds, double *do_);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, d, o, s, ds, do_);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"ds", 1, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*d) : 0);
        at_least(&the_array[1], s ? (size_t)(N) : 0);
        at_least(&the_array[2], ds ? (size_t)(N) : 0);
        at_least(&the_array[3], do_ ? (size_t)(N*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, d, o, s, ds, do_));
    }
    return the_function.status;
}

smoe_status smoe_response_relu(size_t N, size_t d, const double *o, double *s)
{
    static watched the_function = {.name = "smoe_response_relu"};
    smoe_status (*real_one)(size_t N, size_t d, const double *o, double *s);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, d, o, s);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"s", 0, IS_REAL(*s), sizeof *s, 0, &s},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*d) : 0);
        at_least(&the_array[1], s ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, d, o, s));
    }
    return the_function.status;
}

smoe_status smoe_response_relu_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_)
{
    static watched the_function = {.name = "smoe_response_relu_vjp"};
    smoe_status (*real_one)(size_t N, size_t d, const double *o, const double *ds, double *do_);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, d, o, ds, do_);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"ds", 1, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*d) : 0);
        at_least(&the_array[1], ds ? (size_t)(N) : 0);
        at_least(&the_array[2], do_ ? (size_t)(N*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, d, o, ds, do_));
    }
    return the_function.status;
}

smoe_status smoe_response_sigmoid(size_t N, size_t d, const double *o, double *s)
{
    static watched the_function = {.name = "smoe_response_sigmoid"};
    smoe_status (*real_one)(size_t N, size_t d, const double *o, double *s);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, d, o, s);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"s", 0, IS_REAL(*s), sizeof *s, 0, &s},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*d) : 0);
        at_least(&the_array[1], s ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, d, o, s));
    }
    return the_function.status;
}

smoe_status smoe_response_sigmoid_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_)
{
    static watched the_function = {.name = "smoe_response_sigmoid_vjp"};
    smoe_status (*real_one)(size_t N, size_t d, const double *o, const double *ds, double *do_);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, d, o, ds, do_);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"ds", 1, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*d) : 0);
        at_least(&the_array[1], ds ? (size_t)(N) : 0);
        at_least(&the_array[2], do_ ? (size_t)(N*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, d, o, ds, do_));
    }
    return the_function.status;
}

smoe_status smoe_response_silu(size_t N, size_t d, const double *o, double *s)
{
    static watched the_function = {.name = "smoe_response_silu"};
    smoe_status (*real_one)(size_t N, size_t d, const double *o, double *s);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, d, o, s);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"s", 0, IS_REAL(*s), sizeof *s, 0, &s},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*d) : 0);
        at_least(&the_array[1], s ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, d, o, s));
    }
    return the_function.status;
}

smoe_status smoe_response_silu_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_)
{
    static watched the_function = {.name = "smoe_response_silu_vjp"};
    smoe_status (*real_one)(size_t N, size_t d, const double *o, const double *ds, double *do_);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, d, o, ds, do_);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"ds", 1, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 1, &N},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(N*d) : 0);
        at_least(&the_array[1], ds ? (size_t)(N) : 0);
        at_least(&the_array[2], do_ ? (size_t)(N*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, d, o, ds, do_));
    }
    return the_function.status;
}

smoe_status smoe_compete_weights(size_t K, const double *value, double *weight)
{
    static watched the_function = {.name = "smoe_compete_weights"};
    smoe_status (*real_one)(size_t K, const double *value, double *weight);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(K, value, weight);
    array_of the_array[] = {
        {"value", 1, IS_REAL(*value), sizeof *value, 0, &value},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
    };
    const knob_of the_knob[] = {
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], value ? (size_t)(K) : 0);
        at_least(&the_array[1], weight ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(K, value, weight));
    }
    return the_function.status;
}

smoe_status smoe_compete_weights_vjp(size_t K, const double *value, const double *weight, const double *dweight, double *dvalue)
{
    static watched the_function = {.name = "smoe_compete_weights_vjp"};
    smoe_status (*real_one)(size_t K, const double *value, const double *weight, const double *dweight, double *dvalue);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(K, value, weight, dweight, dvalue);
    array_of the_array[] = {
        {"value", 1, IS_REAL(*value), sizeof *value, 0, &value},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dvalue", 0, IS_REAL(*dvalue), sizeof *dvalue, 0, &dvalue},
    };
    const knob_of the_knob[] = {
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], value ? (size_t)(K) : 0);
        at_least(&the_array[1], weight ? (size_t)(K) : 0);
        at_least(&the_array[2], dweight ? (size_t)(K) : 0);
        at_least(&the_array[3], dvalue ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(K, value, weight, dweight, dvalue));
    }
    return the_function.status;
}

smoe_status smoe_compete_weights_v1(size_t K, const double *value, double *weight)
{
    static watched the_function = {.name = "smoe_compete_weights_v1"};
    smoe_status (*real_one)(size_t K, const double *value, double *weight);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(K, value, weight);
    array_of the_array[] = {
        {"value", 1, IS_REAL(*value), sizeof *value, 0, &value},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
    };
    const knob_of the_knob[] = {
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], value ? (size_t)(K) : 0);
        at_least(&the_array[1], weight ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(K, value, weight));
    }
    return the_function.status;
}

smoe_status smoe_compete_weights_v1_vjp(size_t K, const double *weight, const double *dweight, double *dvalue)
{
    static watched the_function = {.name = "smoe_compete_weights_v1_vjp"};
    smoe_status (*real_one)(size_t K, const double *weight, const double *dweight, double *dvalue);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(K, weight, dweight, dvalue);
    array_of the_array[] = {
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dvalue", 0, IS_REAL(*dvalue), sizeof *dvalue, 0, &dvalue},
    };
    const knob_of the_knob[] = {
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], weight ? (size_t)(K) : 0);
        at_least(&the_array[1], dweight ? (size_t)(K) : 0);
        at_least(&the_array[2], dvalue ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(K, weight, dweight, dvalue));
    }
    return the_function.status;
}

smoe_status smoe_compete_weights_sigmoid(size_t K, const double *value, double *weight, double *v)
{
    static watched the_function = {.name = "smoe_compete_weights_sigmoid"};
    smoe_status (*real_one)(size_t K, const double *value, double *weight, double *v);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(K, value, weight, v);
    array_of the_array[] = {
        {"value", 1, IS_REAL(*value), sizeof *value, 0, &value},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"v", 0, IS_REAL(*v), sizeof *v, 0, &v},
    };
    const knob_of the_knob[] = {
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], value ? (size_t)(K) : 0);
        at_least(&the_array[1], weight ? (size_t)(K) : 0);
        at_least(&the_array[2], v ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(K, value, weight, v));
    }
    return the_function.status;
}

smoe_status smoe_compete_weights_sigmoid_vjp(size_t K, const double *value, const double *weight, const double *dweight, double *dvalue, double *v)
{
    static watched the_function = {.name = "smoe_compete_weights_sigmoid_vjp"};
    smoe_status (*real_one)(size_t K, const double *value, const double *weight, const double *dweight, double *dvalue, double *v);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(K, value, weight, dweight, dvalue, v);
    array_of the_array[] = {
        {"value", 1, IS_REAL(*value), sizeof *value, 0, &value},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dvalue", 0, IS_REAL(*dvalue), sizeof *dvalue, 0, &dvalue},
        {"v", 0, IS_REAL(*v), sizeof *v, 0, &v},
    };
    const knob_of the_knob[] = {
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], value ? (size_t)(K) : 0);
        at_least(&the_array[1], weight ? (size_t)(K) : 0);
        at_least(&the_array[2], dweight ? (size_t)(K) : 0);
        at_least(&the_array[3], dvalue ? (size_t)(K) : 0);
        at_least(&the_array[4], v ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(K, value, weight, dweight, dvalue, v));
    }
    return the_function.status;
}

smoe_status smoe_compete_combine(size_t N, size_t K, size_t d, const size_t *index, const double *weight, const double *o, double *y)
{
    static watched the_function = {.name = "smoe_compete_combine"};
    smoe_status (*real_one)(size_t N, size_t K, size_t d, const size_t *index, const double *weight, const double *o, double *y);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, d, index, weight, o, y);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(K) : 0);
        at_least(&the_array[1], weight ? (size_t)(K) : 0);
        at_least(&the_array[2], o ? (size_t)(N*d) : 0);
        at_least(&the_array[3], y ? (size_t)(d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, d, index, weight, o, y));
    }
    return the_function.status;
}

smoe_status smoe_compete_combine_vjp(size_t N, size_t K, size_t d, const size_t *index, const double *weight, const double *o, const double *dy, double *dweight, double *do_)
{
    static watched the_function = {.name = "smoe_compete_combine_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, size_t d, const size_t *index, const double *weight, const double *o, const double *dy, double *dweight, double *do_);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, d, index, weight, o, dy, dweight, do_);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dweight", 0, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(K) : 0);
        at_least(&the_array[1], weight ? (size_t)(K) : 0);
        at_least(&the_array[2], o ? (size_t)(N*d) : 0);
        at_least(&the_array[3], dy ? (size_t)(d) : 0);
        at_least(&the_array[4], dweight ? (size_t)(K) : 0);
        at_least(&the_array[5], do_ ? (size_t)(N*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, d, index, weight, o, dy, dweight, do_));
    }
    return the_function.status;
}

smoe_status smoe_route(size_t T, size_t N, size_t K, size_t d, const double *o, double *s, size_t *index, double *weight, double *margin, double *y, double *value)
{
    static watched the_function = {.name = "smoe_route"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, size_t d, const double *o, double *s, size_t *index, double *weight, double *margin, double *y, double *value);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, d, o, s, index, weight, margin, y, value);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"s", 0, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(T*N*d) : 0);
        at_least(&the_array[1], s ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[4], margin ? (size_t)(T) : 0);
        at_least(&the_array[5], y ? (size_t)(T*d) : 0);
        at_least(&the_array[6], value ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, d, o, s, index, weight, margin, y, value));
    }
    return the_function.status;
}

smoe_status smoe_route_v1(size_t T, size_t N, size_t K, size_t d, const double *o, double *s, size_t *index, double *weight, double *margin, double *y, double *value)
{
    static watched the_function = {.name = "smoe_route_v1"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, size_t d, const double *o, double *s, size_t *index, double *weight, double *margin, double *y, double *value);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, d, o, s, index, weight, margin, y, value);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"s", 0, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(T*N*d) : 0);
        at_least(&the_array[1], s ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[4], margin ? (size_t)(T) : 0);
        at_least(&the_array[5], y ? (size_t)(T*d) : 0);
        at_least(&the_array[6], value ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, d, o, s, index, weight, margin, y, value));
    }
    return the_function.status;
}

smoe_status smoe_route_vjp(size_t T, size_t N, size_t K, size_t d, const double *o, const double *s, const size_t *index, const double *weight, const double *dy, const double *dweight, const double *ds, double *do_, double *work)
{
    static watched the_function = {.name = "smoe_route_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, size_t d, const double *o, const double *s, const size_t *index, const double *weight, const double *dy, const double *dweight, const double *ds, double *do_, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, d, o, s, index, weight, dy, dweight, ds, do_, work);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"ds", 1, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 9, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(T*N*d) : 0);
        at_least(&the_array[1], s ? (size_t)(T*N) : 0);
        at_least(&the_array[2], ds ? (size_t)(T*N) : 0);
        at_least(&the_array[3], index ? (size_t)(T*K) : 0);
        at_least(&the_array[4], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[5], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[6], dweight ? (size_t)(T*K) : 0);
        at_least(&the_array[7], do_ ? (size_t)(T*N*d) : 0);
        at_least(&the_array[8], work ? (size_t)(N*d+N+3*K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, d, o, s, index, weight, dy, dweight, ds, do_, work));
    }
    return the_function.status;
}

smoe_status smoe_route_v1_vjp(size_t T, size_t N, size_t K, size_t d, const double *o, const double *s, const size_t *index, const double *weight, const double *dy, const double *dweight, const double *ds, double *do_, double *work)
{
    static watched the_function = {.name = "smoe_route_v1_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, size_t d, const double *o, const double *s, const size_t *index, const double *weight, const double *dy, const double *dweight, const double *ds, double *do_, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, d, o, s, index, weight, dy, dweight, ds, do_, work);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"ds", 1, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"dy", 1, IS_REAL(*dy), sizeof *dy, 0, &dy},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 9, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(T*N*d) : 0);
        at_least(&the_array[1], s ? (size_t)(T*N) : 0);
        at_least(&the_array[2], ds ? (size_t)(T*N) : 0);
        at_least(&the_array[3], index ? (size_t)(T*K) : 0);
        at_least(&the_array[4], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[5], dy ? (size_t)(T*d) : 0);
        at_least(&the_array[6], dweight ? (size_t)(T*K) : 0);
        at_least(&the_array[7], do_ ? (size_t)(T*N*d) : 0);
        at_least(&the_array[8], work ? (size_t)(N*d+N+3*K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, d, o, s, index, weight, dy, dweight, ds, do_, work));
    }
    return the_function.status;
}

smoe_status smoe_distill_loss(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double *loss)
{
    static watched the_function = {.name = "smoe_distill_loss"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, theta, p, q, index, loss);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"theta", A_NUMBER, 0, &theta},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], q ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, theta, p, q, index, loss));
    }
    return the_function.status;
}

smoe_status smoe_distill_loss_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double dloss, double *dp)
{
    static watched the_function = {.name = "smoe_distill_loss_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double dloss, double *dp);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, theta, p, q, index, dloss, dp);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"dp", 0, IS_REAL(*dp), sizeof *dp, 0, &dp},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"theta", A_NUMBER, 0, &theta},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], q ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], dp ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, theta, p, q, index, dloss, dp));
    }
    return the_function.status;
}

smoe_status smoe_distill(size_t T, size_t N, size_t K, double theta, const double *r, const double *s, const size_t *index, double *p, double *q, double *loss)
{
    static watched the_function = {.name = "smoe_distill"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, double theta, const double *r, const double *s, const size_t *index, double *p, double *q, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, theta, r, s, index, p, q, loss);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 0, IS_REAL(*q), sizeof *q, 0, &q},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"theta", A_NUMBER, 0, &theta},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], s ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], p ? (size_t)(T*N) : 0);
        at_least(&the_array[4], q ? (size_t)(T*N) : 0);
        at_least(&the_array[5], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, theta, r, s, index, p, q, loss));
    }
    return the_function.status;
}

smoe_status smoe_distill_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double dloss, double *dr, double *dp)
{
    static watched the_function = {.name = "smoe_distill_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double dloss, double *dr, double *dp);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, theta, p, q, index, dloss, dr, dp);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dp", 0, IS_REAL(*dp), sizeof *dp, 0, &dp},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"theta", A_NUMBER, 0, &theta},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], q ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[4], dp ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, theta, p, q, index, dloss, dr, dp));
    }
    return the_function.status;
}

smoe_status smoe_distill_target_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double dloss, double *ds, double *dq)
{
    static watched the_function = {.name = "smoe_distill_target_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double dloss, double *ds, double *dq);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, theta, p, q, index, dloss, ds, dq);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"dq", 0, IS_REAL(*dq), sizeof *dq, 0, &dq},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"theta", A_NUMBER, 0, &theta},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], q ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], ds ? (size_t)(T*N) : 0);
        at_least(&the_array[4], dq ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, theta, p, q, index, dloss, ds, dq));
    }
    return the_function.status;
}

smoe_status smoe_distill_winners_loss(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double *loss)
{
    static watched the_function = {.name = "smoe_distill_winners_loss"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, theta, p, q, index, loss);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"theta", A_NUMBER, 0, &theta},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], q ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, theta, p, q, index, loss));
    }
    return the_function.status;
}

smoe_status smoe_distill_winners_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double dloss, double *dr, double *dp)
{
    static watched the_function = {.name = "smoe_distill_winners_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double dloss, double *dr, double *dp);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, theta, p, q, index, dloss, dr, dp);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dp", 0, IS_REAL(*dp), sizeof *dp, 0, &dp},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"theta", A_NUMBER, 0, &theta},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], q ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[4], dp ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, theta, p, q, index, dloss, dr, dp));
    }
    return the_function.status;
}

smoe_status smoe_distill_winners_target_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double dloss, double *ds, double *dq)
{
    static watched the_function = {.name = "smoe_distill_winners_target_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, double theta, const double *p, const double *q, const size_t *index, double dloss, double *ds, double *dq);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, theta, p, q, index, dloss, ds, dq);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"dq", 0, IS_REAL(*dq), sizeof *dq, 0, &dq},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"theta", A_NUMBER, 0, &theta},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], q ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], ds ? (size_t)(T*N) : 0);
        at_least(&the_array[4], dq ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, theta, p, q, index, dloss, ds, dq));
    }
    return the_function.status;
}

smoe_status smoe_diversity_pairs(size_t T, size_t K, size_t d, const double *o, double *unit, double *norm, double *loss)
{
    static watched the_function = {.name = "smoe_diversity_pairs"};
    smoe_status (*real_one)(size_t T, size_t K, size_t d, const double *o, double *unit, double *norm, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, K, d, o, unit, norm, loss);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"unit", 0, IS_REAL(*unit), sizeof *unit, 0, &unit},
        {"norm", 0, IS_REAL(*norm), sizeof *norm, 0, &norm},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"K", A_SIZE, 1, &K},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(T*K*d) : 0);
        at_least(&the_array[1], unit ? (size_t)(T*K*d) : 0);
        at_least(&the_array[2], norm ? (size_t)(T*K) : 0);
        at_least(&the_array[3], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, K, d, o, unit, norm, loss));
    }
    return the_function.status;
}

smoe_status smoe_diversity_square(size_t T, size_t K, size_t d, const double *o, double *unit, double *norm, double *loss)
{
    static watched the_function = {.name = "smoe_diversity_square"};
    smoe_status (*real_one)(size_t T, size_t K, size_t d, const double *o, double *unit, double *norm, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, K, d, o, unit, norm, loss);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"unit", 0, IS_REAL(*unit), sizeof *unit, 0, &unit},
        {"norm", 0, IS_REAL(*norm), sizeof *norm, 0, &norm},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"K", A_SIZE, 1, &K},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(T*K*d) : 0);
        at_least(&the_array[1], unit ? (size_t)(T*K*d) : 0);
        at_least(&the_array[2], norm ? (size_t)(T*K) : 0);
        at_least(&the_array[3], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, K, d, o, unit, norm, loss));
    }
    return the_function.status;
}

smoe_status smoe_diversity_pairs_vjp(size_t T, size_t K, size_t d, const double *unit, const double *norm, double dloss, double *do_)
{
    static watched the_function = {.name = "smoe_diversity_pairs_vjp"};
    smoe_status (*real_one)(size_t T, size_t K, size_t d, const double *unit, const double *norm, double dloss, double *do_);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, K, d, unit, norm, dloss, do_);
    array_of the_array[] = {
        {"unit", 1, IS_REAL(*unit), sizeof *unit, 0, &unit},
        {"norm", 1, IS_REAL(*norm), sizeof *norm, 0, &norm},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"K", A_SIZE, 1, &K},
        {"d", A_SIZE, 1, &d},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], unit ? (size_t)(T*K*d) : 0);
        at_least(&the_array[1], norm ? (size_t)(T*K) : 0);
        at_least(&the_array[2], do_ ? (size_t)(T*K*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, K, d, unit, norm, dloss, do_));
    }
    return the_function.status;
}

smoe_status smoe_diversity_square_vjp(size_t T, size_t K, size_t d, const double *unit, const double *norm, double dloss, double *do_)
{
    static watched the_function = {.name = "smoe_diversity_square_vjp"};
    smoe_status (*real_one)(size_t T, size_t K, size_t d, const double *unit, const double *norm, double dloss, double *do_);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, K, d, unit, norm, dloss, do_);
    array_of the_array[] = {
        {"unit", 1, IS_REAL(*unit), sizeof *unit, 0, &unit},
        {"norm", 1, IS_REAL(*norm), sizeof *norm, 0, &norm},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"K", A_SIZE, 1, &K},
        {"d", A_SIZE, 1, &d},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], unit ? (size_t)(T*K*d) : 0);
        at_least(&the_array[1], norm ? (size_t)(T*K) : 0);
        at_least(&the_array[2], do_ ? (size_t)(T*K*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, K, d, unit, norm, dloss, do_));
    }
    return the_function.status;
}

smoe_status smoe_compete_step(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const smoe_compete_out *out, const smoe_compete_kept *kept)
{
    static watched the_function = {.name = "smoe_compete_step"};
    smoe_status (*real_one)(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const smoe_compete_out *out, const smoe_compete_kept *kept);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, opt, in, out, kept);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    smoe_compete_options opt_ = *opt;
    opt = &opt_;
    smoe_layer_in in_ = *in;
    in = &in_;
    smoe_compete_out out_ = *out;
    out = &out_;
    smoe_compete_kept kept_ = *kept;
    kept = &kept_;
    array_of the_array[] = {
        {"in->x", 1, IS_REAL(*in_.x), sizeof *in_.x, 0, &in_.x},
        {"in->wr", 1, IS_REAL(*in_.wr), sizeof *in_.wr, 0, &in_.wr},
        {"in->br", 1, IS_REAL(*in_.br), sizeof *in_.br, 0, &in_.br},
        {"in->w1", 1, IS_REAL(*in_.w1), sizeof *in_.w1, 0, &in_.w1},
        {"in->b1", 1, IS_REAL(*in_.b1), sizeof *in_.b1, 0, &in_.b1},
        {"in->w2", 1, IS_REAL(*in_.w2), sizeof *in_.w2, 0, &in_.w2},
        {"in->b2", 1, IS_REAL(*in_.b2), sizeof *in_.b2, 0, &in_.b2},
        {"out->y", 0, IS_REAL(*out_.y), sizeof *out_.y, 0, &out_.y},
        {"out->r", 0, IS_REAL(*out_.r), sizeof *out_.r, 0, &out_.r},
        {"out->s", 0, IS_REAL(*out_.s), sizeof *out_.s, 0, &out_.s},
        {"out->index", 0, IS_REAL(*out_.index), sizeof *out_.index, 0, &out_.index},
        {"out->weight", 0, IS_REAL(*out_.weight), sizeof *out_.weight, 0, &out_.weight},
        {"out->margin", 0, IS_REAL(*out_.margin), sizeof *out_.margin, 0, &out_.margin},
        {"out->loss", 0, IS_REAL(*out_.loss), sizeof *out_.loss, 0, &out_.loss},
        {"out->distill", 0, IS_REAL(*out_.distill), sizeof *out_.distill, 0, &out_.distill},
        {"out->diversity", 0, IS_REAL(*out_.diversity), sizeof *out_.diversity, 0, &out_.diversity},
        {"out->balance", 0, IS_REAL(*out_.balance), sizeof *out_.balance, 0, &out_.balance},
        {"out->zloss", 0, IS_REAL(*out_.zloss), sizeof *out_.zloss, 0, &out_.zloss},
        {"kept->o", 0, IS_REAL(*kept_.o), sizeof *kept_.o, 0, &kept_.o},
        {"kept->a", 0, IS_REAL(*kept_.a), sizeof *kept_.a, 0, &kept_.a},
        {"kept->u", 0, IS_REAL(*kept_.u), sizeof *kept_.u, 0, &kept_.u},
        {"kept->e", 0, IS_REAL(*kept_.e), sizeof *kept_.e, 0, &kept_.e},
        {"kept->response", 0, IS_REAL(*kept_.response), sizeof *kept_.response, 0, &kept_.response},
        {"kept->p", 0, IS_REAL(*kept_.p), sizeof *kept_.p, 0, &kept_.p},
        {"kept->q", 0, IS_REAL(*kept_.q), sizeof *kept_.q, 0, &kept_.q},
        {"kept->qs", 0, IS_REAL(*kept_.qs), sizeof *kept_.qs, 0, &kept_.qs},
        {"kept->f", 0, IS_REAL(*kept_.f), sizeof *kept_.f, 0, &kept_.f},
        {"kept->P", 0, IS_REAL(*kept_.P), sizeof *kept_.P, 0, &kept_.P},
        {"kept->won", 0, IS_REAL(*kept_.won), sizeof *kept_.won, 0, &kept_.won},
        {"kept->unit", 0, IS_REAL(*kept_.unit), sizeof *kept_.unit, 0, &kept_.unit},
        {"kept->norm", 0, IS_REAL(*kept_.norm), sizeof *kept_.norm, 0, &kept_.norm},
        {"kept->value", 0, IS_REAL(*kept_.value), sizeof *kept_.value, 0, &kept_.value},
        {"kept->count", 0, IS_REAL(*kept_.count), sizeof *kept_.count, 0, &kept_.count},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {"opt->version", AN_ENUMERATOR, 0, &opt_.version},
        {"opt->response", AN_ENUMERATOR, 0, &opt_.response},
        {"opt->weights", AN_ENUMERATOR, 0, &opt_.weights},
        {"opt->mix", A_NUMBER, 0, &opt_.mix},
        {"opt->count", AN_ENUMERATOR, 0, &opt_.count},
        {"opt->target", AN_ENUMERATOR, 0, &opt_.target},
        {"opt->diversity", AN_ENUMERATOR, 0, &opt_.diversity},
        {"opt->theta", A_NUMBER, 0, &opt_.theta},
        {"opt->c_task", A_NUMBER, 0, &opt_.c_task},
        {"opt->c_distill", A_NUMBER, 0, &opt_.c_distill},
        {"opt->c_diversity", A_NUMBER, 0, &opt_.c_diversity},
        {"opt->c_balance", A_NUMBER, 0, &opt_.c_balance},
        {"opt->c_zloss", A_NUMBER, 0, &opt_.c_zloss},
        {"opt->chunk", A_SIZE, 0, &opt_.chunk},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 33, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t d = shape->d;
        (void)d;
        const size_t h = shape->h;
        (void)h;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        const size_t C = smoe_chunk(shape, opt);
        (void)C;
        at_least(&the_array[0], in_.x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], in_.wr ? (size_t)(N*d) : 0);
        at_least(&the_array[2], in_.br ? (size_t)(N) : 0);
        at_least(&the_array[3], in_.w1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[4], in_.b1 ? (size_t)(N*h) : 0);
        at_least(&the_array[5], in_.w2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[6], in_.b2 ? (size_t)(N*d) : 0);
        at_least(&the_array[7], out_.y ? (size_t)(T*d) : 0);
        at_least(&the_array[8], out_.r ? (size_t)(T*N) : 0);
        at_least(&the_array[9], out_.s ? (size_t)(T*N) : 0);
        at_least(&the_array[10], out_.index ? (size_t)(T*K) : 0);
        at_least(&the_array[11], out_.weight ? (size_t)(T*K) : 0);
        at_least(&the_array[12], out_.margin ? (size_t)(T) : 0);
        at_least(&the_array[13], out_.loss ? (size_t)(1) : 0);
        at_least(&the_array[14], out_.distill ? (size_t)(1) : 0);
        at_least(&the_array[15], out_.diversity ? (size_t)(1) : 0);
        at_least(&the_array[16], out_.balance ? (size_t)(1) : 0);
        at_least(&the_array[17], out_.zloss ? (size_t)(1) : 0);
        at_least(&the_array[18], kept_.o ? (size_t)(C*N*d) : 0);
        at_least(&the_array[19], kept_.a ? (size_t)(N*C*h) : 0);
        at_least(&the_array[20], kept_.u ? (size_t)(N*C*h) : 0);
        at_least(&the_array[21], kept_.e ? (size_t)(C*d) : 0);
        at_least(&the_array[22], kept_.response ? (size_t)(T*N) : 0);
        at_least(&the_array[23], kept_.p ? (size_t)(T*N) : 0);
        at_least(&the_array[24], kept_.q ? (size_t)(T*N) : 0);
        at_least(&the_array[25], kept_.qs ? (size_t)(T*N) : 0);
        at_least(&the_array[26], kept_.f ? (size_t)(N) : 0);
        at_least(&the_array[27], kept_.P ? (size_t)(N) : 0);
        at_least(&the_array[28], kept_.won ? (size_t)(C*K*d) : 0);
        at_least(&the_array[29], kept_.unit ? (size_t)(C*K*d) : 0);
        at_least(&the_array[30], kept_.norm ? (size_t)(C*K) : 0);
        at_least(&the_array[31], kept_.value ? (size_t)(4*N) : 0);
        at_least(&the_array[32], kept_.count ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, opt, in, out, kept));
    }
    return the_function.status;
}

smoe_status smoe_compete_step_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const smoe_compete_out *out, const smoe_compete_kept *kept, const smoe_compete_cot *cot, const smoe_layer_grad *grad, double *work)
{
    static watched the_function = {.name = "smoe_compete_step_vjp"};
    smoe_status (*real_one)(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const smoe_compete_out *out, const smoe_compete_kept *kept, const smoe_compete_cot *cot, const smoe_layer_grad *grad, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, opt, in, out, kept, cot, grad, work);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    smoe_compete_options opt_ = *opt;
    opt = &opt_;
    smoe_layer_in in_ = *in;
    in = &in_;
    smoe_compete_out out_ = *out;
    out = &out_;
    smoe_compete_kept kept_ = *kept;
    kept = &kept_;
    smoe_compete_cot cot_ = *cot;
    cot = &cot_;
    smoe_layer_grad grad_ = *grad;
    grad = &grad_;
    array_of the_array[] = {
        {"cot->y", 1, IS_REAL(*cot_.y), sizeof *cot_.y, 0, &cot_.y},
        {"cot->weight", 1, IS_REAL(*cot_.weight), sizeof *cot_.weight, 0, &cot_.weight},
        {"grad->x", 0, IS_REAL(*grad_.x), sizeof *grad_.x, 0, &grad_.x},
        {"grad->wr", 0, IS_REAL(*grad_.wr), sizeof *grad_.wr, 0, &grad_.wr},
        {"grad->br", 0, IS_REAL(*grad_.br), sizeof *grad_.br, 0, &grad_.br},
        {"grad->w1", 0, IS_REAL(*grad_.w1), sizeof *grad_.w1, 0, &grad_.w1},
        {"grad->b1", 0, IS_REAL(*grad_.b1), sizeof *grad_.b1, 0, &grad_.b1},
        {"grad->w2", 0, IS_REAL(*grad_.w2), sizeof *grad_.w2, 0, &grad_.w2},
        {"grad->b2", 0, IS_REAL(*grad_.b2), sizeof *grad_.b2, 0, &grad_.b2},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {"opt->version", AN_ENUMERATOR, 0, &opt_.version},
        {"opt->response", AN_ENUMERATOR, 0, &opt_.response},
        {"opt->weights", AN_ENUMERATOR, 0, &opt_.weights},
        {"opt->mix", A_NUMBER, 0, &opt_.mix},
        {"opt->count", AN_ENUMERATOR, 0, &opt_.count},
        {"opt->target", AN_ENUMERATOR, 0, &opt_.target},
        {"opt->diversity", AN_ENUMERATOR, 0, &opt_.diversity},
        {"opt->theta", A_NUMBER, 0, &opt_.theta},
        {"opt->c_task", A_NUMBER, 0, &opt_.c_task},
        {"opt->c_distill", A_NUMBER, 0, &opt_.c_distill},
        {"opt->c_diversity", A_NUMBER, 0, &opt_.c_diversity},
        {"opt->c_balance", A_NUMBER, 0, &opt_.c_balance},
        {"opt->c_zloss", A_NUMBER, 0, &opt_.c_zloss},
        {"opt->chunk", A_SIZE, 0, &opt_.chunk},
        {"cot->loss", A_NUMBER, 0, &cot_.loss},
        {"cot->distill", A_NUMBER, 0, &cot_.distill},
        {"cot->diversity", A_NUMBER, 0, &cot_.diversity},
        {"cot->balance", A_NUMBER, 0, &cot_.balance},
        {"cot->zloss", A_NUMBER, 0, &cot_.zloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 10, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t d = shape->d;
        (void)d;
        const size_t h = shape->h;
        (void)h;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        const size_t C = smoe_chunk(shape, opt);
        (void)C;
        at_least(&the_array[0], cot_.y ? (size_t)(T*d) : 0);
        at_least(&the_array[1], cot_.weight ? (size_t)(T*K) : 0);
        at_least(&the_array[2], grad_.x ? (size_t)(T*d) : 0);
        at_least(&the_array[3], grad_.wr ? (size_t)(N*d) : 0);
        at_least(&the_array[4], grad_.br ? (size_t)(N) : 0);
        at_least(&the_array[5], grad_.w1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[6], grad_.b1 ? (size_t)(N*h) : 0);
        at_least(&the_array[7], grad_.w2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[8], grad_.b2 ? (size_t)(N*d) : 0);
        at_least(&the_array[9], work ? (size_t)(3*T*N+T*d+C*(N*d+K*d+2*d+h)+N*d+7*N+4*K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, opt, in, out, kept, cot, grad, work));
    }
    return the_function.status;
}

smoe_status smoe_router_step(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const smoe_compete_out *out, const smoe_router_kept *kept)
{
    static watched the_function = {.name = "smoe_router_step"};
    smoe_status (*real_one)(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const smoe_compete_out *out, const smoe_router_kept *kept);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, opt, in, out, kept);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    smoe_compete_options opt_ = *opt;
    opt = &opt_;
    smoe_layer_in in_ = *in;
    in = &in_;
    smoe_compete_out out_ = *out;
    out = &out_;
    smoe_router_kept kept_ = *kept;
    kept = &kept_;
    array_of the_array[] = {
        {"in->x", 1, IS_REAL(*in_.x), sizeof *in_.x, 0, &in_.x},
        {"in->wr", 1, IS_REAL(*in_.wr), sizeof *in_.wr, 0, &in_.wr},
        {"in->br", 1, IS_REAL(*in_.br), sizeof *in_.br, 0, &in_.br},
        {"in->w1", 1, IS_REAL(*in_.w1), sizeof *in_.w1, 0, &in_.w1},
        {"in->b1", 1, IS_REAL(*in_.b1), sizeof *in_.b1, 0, &in_.b1},
        {"in->w2", 1, IS_REAL(*in_.w2), sizeof *in_.w2, 0, &in_.w2},
        {"in->b2", 1, IS_REAL(*in_.b2), sizeof *in_.b2, 0, &in_.b2},
        {"out->y", 0, IS_REAL(*out_.y), sizeof *out_.y, 0, &out_.y},
        {"out->r", 0, IS_REAL(*out_.r), sizeof *out_.r, 0, &out_.r},
        {"out->s", 0, IS_REAL(*out_.s), sizeof *out_.s, 0, &out_.s},
        {"out->index", 0, IS_REAL(*out_.index), sizeof *out_.index, 0, &out_.index},
        {"out->weight", 0, IS_REAL(*out_.weight), sizeof *out_.weight, 0, &out_.weight},
        {"out->margin", 0, IS_REAL(*out_.margin), sizeof *out_.margin, 0, &out_.margin},
        {"out->loss", 0, IS_REAL(*out_.loss), sizeof *out_.loss, 0, &out_.loss},
        {"out->distill", 0, IS_REAL(*out_.distill), sizeof *out_.distill, 0, &out_.distill},
        {"out->diversity", 0, IS_REAL(*out_.diversity), sizeof *out_.diversity, 0, &out_.diversity},
        {"out->balance", 0, IS_REAL(*out_.balance), sizeof *out_.balance, 0, &out_.balance},
        {"out->zloss", 0, IS_REAL(*out_.zloss), sizeof *out_.zloss, 0, &out_.zloss},
        {"kept->layer.offset", 0, IS_REAL(*kept_.layer.offset), sizeof *kept_.layer.offset, 0, &kept_.layer.offset},
        {"kept->layer.slot", 0, IS_REAL(*kept_.layer.slot), sizeof *kept_.layer.slot, 0, &kept_.layer.slot},
        {"kept->layer.place", 0, IS_REAL(*kept_.layer.place), sizeof *kept_.layer.place, 0, &kept_.layer.place},
        {"kept->layer.p", 0, IS_REAL(*kept_.layer.p), sizeof *kept_.layer.p, 0, &kept_.layer.p},
        {"kept->layer.xs", 0, IS_REAL(*kept_.layer.xs), sizeof *kept_.layer.xs, 0, &kept_.layer.xs},
        {"kept->layer.o", 0, IS_REAL(*kept_.layer.o), sizeof *kept_.layer.o, 0, &kept_.layer.o},
        {"kept->layer.a", 0, IS_REAL(*kept_.layer.a), sizeof *kept_.layer.a, 0, &kept_.layer.a},
        {"kept->layer.u", 0, IS_REAL(*kept_.layer.u), sizeof *kept_.layer.u, 0, &kept_.layer.u},
        {"kept->p", 0, IS_REAL(*kept_.p), sizeof *kept_.p, 0, &kept_.p},
        {"kept->f", 0, IS_REAL(*kept_.f), sizeof *kept_.f, 0, &kept_.f},
        {"kept->P", 0, IS_REAL(*kept_.P), sizeof *kept_.P, 0, &kept_.P},
        {"kept->lse", 0, IS_REAL(*kept_.lse), sizeof *kept_.lse, 0, &kept_.lse},
        {"kept->count", 0, IS_REAL(*kept_.count), sizeof *kept_.count, 0, &kept_.count},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {"opt->version", AN_ENUMERATOR, 0, &opt_.version},
        {"opt->response", AN_ENUMERATOR, 0, &opt_.response},
        {"opt->weights", AN_ENUMERATOR, 0, &opt_.weights},
        {"opt->mix", A_NUMBER, 0, &opt_.mix},
        {"opt->count", AN_ENUMERATOR, 0, &opt_.count},
        {"opt->target", AN_ENUMERATOR, 0, &opt_.target},
        {"opt->diversity", AN_ENUMERATOR, 0, &opt_.diversity},
        {"opt->theta", A_NUMBER, 0, &opt_.theta},
        {"opt->c_task", A_NUMBER, 0, &opt_.c_task},
        {"opt->c_distill", A_NUMBER, 0, &opt_.c_distill},
        {"opt->c_diversity", A_NUMBER, 0, &opt_.c_diversity},
        {"opt->c_balance", A_NUMBER, 0, &opt_.c_balance},
        {"opt->c_zloss", A_NUMBER, 0, &opt_.c_zloss},
        {"opt->chunk", A_SIZE, 0, &opt_.chunk},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 31, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t d = shape->d;
        (void)d;
        const size_t h = shape->h;
        (void)h;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        at_least(&the_array[0], in_.x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], in_.wr ? (size_t)(N*d) : 0);
        at_least(&the_array[2], in_.br ? (size_t)(N) : 0);
        at_least(&the_array[3], in_.w1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[4], in_.b1 ? (size_t)(N*h) : 0);
        at_least(&the_array[5], in_.w2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[6], in_.b2 ? (size_t)(N*d) : 0);
        at_least(&the_array[7], out_.y ? (size_t)(T*d) : 0);
        at_least(&the_array[8], out_.r ? (size_t)(T*N) : 0);
        at_least(&the_array[9], out_.s ? (size_t)(T*N) : 0);
        at_least(&the_array[10], out_.index ? (size_t)(T*K) : 0);
        at_least(&the_array[11], out_.weight ? (size_t)(T*K) : 0);
        at_least(&the_array[12], out_.margin ? (size_t)(T) : 0);
        at_least(&the_array[13], out_.loss ? (size_t)(1) : 0);
        at_least(&the_array[14], out_.distill ? (size_t)(1) : 0);
        at_least(&the_array[15], out_.diversity ? (size_t)(1) : 0);
        at_least(&the_array[16], out_.balance ? (size_t)(1) : 0);
        at_least(&the_array[17], out_.zloss ? (size_t)(1) : 0);
        at_least(&the_array[18], kept_.layer.offset ? (size_t)(N + 1) : 0);
        at_least(&the_array[19], kept_.layer.slot ? (size_t)(T*K) : 0);
        at_least(&the_array[20], kept_.layer.place ? (size_t)(T*K) : 0);
        at_least(&the_array[21], kept_.layer.p ? (size_t)(T*N) : 0);
        at_least(&the_array[22], kept_.layer.xs ? (size_t)(T*K*d) : 0);
        at_least(&the_array[23], kept_.layer.o ? (size_t)(T*K*d) : 0);
        at_least(&the_array[24], kept_.layer.a ? (size_t)(T*K*h) : 0);
        at_least(&the_array[25], kept_.layer.u ? (size_t)(T*K*h) : 0);
        at_least(&the_array[26], kept_.p ? (size_t)(T*N) : 0);
        at_least(&the_array[27], kept_.f ? (size_t)(N) : 0);
        at_least(&the_array[28], kept_.P ? (size_t)(N) : 0);
        at_least(&the_array[29], kept_.lse ? (size_t)(T) : 0);
        at_least(&the_array[30], kept_.count ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, opt, in, out, kept));
    }
    return the_function.status;
}

smoe_status smoe_router_step_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const smoe_compete_out *out, const smoe_router_kept *kept, const smoe_compete_cot *cot, const smoe_layer_grad *grad, double *work)
{
    static watched the_function = {.name = "smoe_router_step_vjp"};
    smoe_status (*real_one)(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const smoe_compete_out *out, const smoe_router_kept *kept, const smoe_compete_cot *cot, const smoe_layer_grad *grad, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, opt, in, out, kept, cot, grad, work);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    smoe_compete_options opt_ = *opt;
    opt = &opt_;
    smoe_layer_in in_ = *in;
    in = &in_;
    smoe_compete_out out_ = *out;
    out = &out_;
    smoe_router_kept kept_ = *kept;
    kept = &kept_;
    smoe_compete_cot cot_ = *cot;
    cot = &cot_;
    smoe_layer_grad grad_ = *grad;
    grad = &grad_;
    array_of the_array[] = {
        {"cot->y", 1, IS_REAL(*cot_.y), sizeof *cot_.y, 0, &cot_.y},
        {"cot->weight", 1, IS_REAL(*cot_.weight), sizeof *cot_.weight, 0, &cot_.weight},
        {"grad->x", 0, IS_REAL(*grad_.x), sizeof *grad_.x, 0, &grad_.x},
        {"grad->wr", 0, IS_REAL(*grad_.wr), sizeof *grad_.wr, 0, &grad_.wr},
        {"grad->br", 0, IS_REAL(*grad_.br), sizeof *grad_.br, 0, &grad_.br},
        {"grad->w1", 0, IS_REAL(*grad_.w1), sizeof *grad_.w1, 0, &grad_.w1},
        {"grad->b1", 0, IS_REAL(*grad_.b1), sizeof *grad_.b1, 0, &grad_.b1},
        {"grad->w2", 0, IS_REAL(*grad_.w2), sizeof *grad_.w2, 0, &grad_.w2},
        {"grad->b2", 0, IS_REAL(*grad_.b2), sizeof *grad_.b2, 0, &grad_.b2},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {"opt->version", AN_ENUMERATOR, 0, &opt_.version},
        {"opt->response", AN_ENUMERATOR, 0, &opt_.response},
        {"opt->weights", AN_ENUMERATOR, 0, &opt_.weights},
        {"opt->mix", A_NUMBER, 0, &opt_.mix},
        {"opt->count", AN_ENUMERATOR, 0, &opt_.count},
        {"opt->target", AN_ENUMERATOR, 0, &opt_.target},
        {"opt->diversity", AN_ENUMERATOR, 0, &opt_.diversity},
        {"opt->theta", A_NUMBER, 0, &opt_.theta},
        {"opt->c_task", A_NUMBER, 0, &opt_.c_task},
        {"opt->c_distill", A_NUMBER, 0, &opt_.c_distill},
        {"opt->c_diversity", A_NUMBER, 0, &opt_.c_diversity},
        {"opt->c_balance", A_NUMBER, 0, &opt_.c_balance},
        {"opt->c_zloss", A_NUMBER, 0, &opt_.c_zloss},
        {"opt->chunk", A_SIZE, 0, &opt_.chunk},
        {"cot->loss", A_NUMBER, 0, &cot_.loss},
        {"cot->distill", A_NUMBER, 0, &cot_.distill},
        {"cot->diversity", A_NUMBER, 0, &cot_.diversity},
        {"cot->balance", A_NUMBER, 0, &cot_.balance},
        {"cot->zloss", A_NUMBER, 0, &cot_.zloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 10, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t d = shape->d;
        (void)d;
        const size_t h = shape->h;
        (void)h;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        at_least(&the_array[0], cot_.y ? (size_t)(T*d) : 0);
        at_least(&the_array[1], cot_.weight ? (size_t)(T*K) : 0);
        at_least(&the_array[2], grad_.x ? (size_t)(T*d) : 0);
        at_least(&the_array[3], grad_.wr ? (size_t)(N*d) : 0);
        at_least(&the_array[4], grad_.br ? (size_t)(N) : 0);
        at_least(&the_array[5], grad_.w1 ? (size_t)(N*h*d) : 0);
        at_least(&the_array[6], grad_.b1 ? (size_t)(N*h) : 0);
        at_least(&the_array[7], grad_.w2 ? (size_t)(N*d*h) : 0);
        at_least(&the_array[8], grad_.b2 ? (size_t)(N*d) : 0);
        at_least(&the_array[9], work ? (size_t)(3*T*N+3*N+T*K*(2*d+h+1)) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, opt, in, out, kept, cot, grad, work));
    }
    return the_function.status;
}

smoe_status smoe_target_masked(size_t N, size_t K, const double *s, const size_t *index, double *q, double *work)
{
    static watched the_function = {.name = "smoe_target_masked"};
    smoe_status (*real_one)(size_t N, size_t K, const double *s, const size_t *index, double *q, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, s, index, q, work);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"q", 0, IS_REAL(*q), sizeof *q, 0, &q},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(N) : 0);
        at_least(&the_array[1], index ? (size_t)(K) : 0);
        at_least(&the_array[2], q ? (size_t)(N) : 0);
        at_least(&the_array[3], work ? (size_t)(2*K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, s, index, q, work));
    }
    return the_function.status;
}

smoe_status smoe_target_masked_vjp(size_t N, size_t K, const double *q, const size_t *index, const double *dq, double *ds, double *work)
{
    static watched the_function = {.name = "smoe_target_masked_vjp"};
    smoe_status (*real_one)(size_t N, size_t K, const double *q, const size_t *index, const double *dq, double *ds, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, q, index, dq, ds, work);
    array_of the_array[] = {
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"dq", 1, IS_REAL(*dq), sizeof *dq, 0, &dq},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], q ? (size_t)(N) : 0);
        at_least(&the_array[1], dq ? (size_t)(N) : 0);
        at_least(&the_array[2], index ? (size_t)(K) : 0);
        at_least(&the_array[3], ds ? (size_t)(N) : 0);
        at_least(&the_array[4], work ? (size_t)(3*K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, q, index, dq, ds, work));
    }
    return the_function.status;
}

smoe_status smoe_distill_v1(size_t T, size_t N, size_t K, const double *r, const double *s, const size_t *index, double *p, double *q, double *loss, double *work)
{
    static watched the_function = {.name = "smoe_distill_v1"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, const double *r, const double *s, const size_t *index, double *p, double *q, double *loss, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, r, s, index, p, q, loss, work);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 0, IS_REAL(*q), sizeof *q, 0, &q},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], s ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], p ? (size_t)(T*N) : 0);
        at_least(&the_array[4], q ? (size_t)(T*N) : 0);
        at_least(&the_array[5], loss ? (size_t)(1) : 0);
        at_least(&the_array[6], work ? (size_t)(4*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, r, s, index, p, q, loss, work));
    }
    return the_function.status;
}

smoe_status smoe_distill_v1_vjp(size_t T, size_t N, const double *p, const double *q, double dloss, double *dr, double *work)
{
    static watched the_function = {.name = "smoe_distill_v1_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, const double *p, const double *q, double dloss, double *dr, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, p, q, dloss, dr, work);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], q ? (size_t)(T*N) : 0);
        at_least(&the_array[2], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[3], work ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, p, q, dloss, dr, work));
    }
    return the_function.status;
}

smoe_status smoe_distill_v1_target_vjp(size_t T, size_t N, size_t K, const double *p, const double *q, const size_t *index, double dloss, double *ds, double *work)
{
    static watched the_function = {.name = "smoe_distill_v1_target_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, const double *p, const double *q, const size_t *index, double dloss, double *ds, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, p, q, index, dloss, ds, work);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], q ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], ds ? (size_t)(T*N) : 0);
        at_least(&the_array[4], work ? (size_t)(4*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, p, q, index, dloss, ds, work));
    }
    return the_function.status;
}

smoe_status smoe_log_ratio(size_t N, size_t K, const double *r, const double *s, const size_t *index, double *l)
{
    static watched the_function = {.name = "smoe_log_ratio"};
    smoe_status (*real_one)(size_t N, size_t K, const double *r, const double *s, const size_t *index, double *l);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(N, K, r, s, index, l);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"l", 0, IS_REAL(*l), sizeof *l, 0, &l},
    };
    const knob_of the_knob[] = {
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(N) : 0);
        at_least(&the_array[1], s ? (size_t)(N) : 0);
        at_least(&the_array[2], index ? (size_t)(K) : 0);
        at_least(&the_array[3], l ? (size_t)(K) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(N, K, r, s, index, l));
    }
    return the_function.status;
}

smoe_status smoe_distill_kl(size_t T, size_t N, size_t K, const double *r, const double *s, const size_t *index, double *p, double *q, double *loss, double *work)
{
    static watched the_function = {.name = "smoe_distill_kl"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, const double *r, const double *s, const size_t *index, double *p, double *q, double *loss, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, r, s, index, p, q, loss, work);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 0, IS_REAL(*q), sizeof *q, 0, &q},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], s ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], p ? (size_t)(T*N) : 0);
        at_least(&the_array[4], q ? (size_t)(T*N) : 0);
        at_least(&the_array[5], loss ? (size_t)(1) : 0);
        at_least(&the_array[6], work ? (size_t)(4*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, r, s, index, p, q, loss, work));
    }
    return the_function.status;
}

smoe_status smoe_distill_kl_vjp(size_t T, size_t N, const double *p, const double *q, double dloss, double *dr)
{
    static watched the_function = {.name = "smoe_distill_kl_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, const double *p, const double *q, double dloss, double *dr);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, p, q, dloss, dr);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], q ? (size_t)(T*N) : 0);
        at_least(&the_array[2], dr ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, p, q, dloss, dr));
    }
    return the_function.status;
}

smoe_status smoe_distill_kl_target_vjp(size_t T, size_t N, size_t K, const double *r, const double *s, const double *q, const size_t *index, double dloss, double *ds, double *work)
{
    static watched the_function = {.name = "smoe_distill_kl_target_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, const double *r, const double *s, const double *q, const size_t *index, double dloss, double *ds, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, r, s, q, index, dloss, ds, work);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], s ? (size_t)(T*N) : 0);
        at_least(&the_array[2], q ? (size_t)(T*N) : 0);
        at_least(&the_array[3], index ? (size_t)(T*K) : 0);
        at_least(&the_array[4], ds ? (size_t)(T*N) : 0);
        at_least(&the_array[5], work ? (size_t)(4*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, r, s, q, index, dloss, ds, work));
    }
    return the_function.status;
}

smoe_status smoe_distill_kl_clamped(size_t T, size_t N, size_t K, const double *r, const double *s, const size_t *index, double *p, double *q, double *loss, double *work)
{
    static watched the_function = {.name = "smoe_distill_kl_clamped"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, const double *r, const double *s, const size_t *index, double *p, double *q, double *loss, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, r, s, index, p, q, loss, work);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 0, IS_REAL(*q), sizeof *q, 0, &q},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], s ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], p ? (size_t)(T*N) : 0);
        at_least(&the_array[4], q ? (size_t)(T*N) : 0);
        at_least(&the_array[5], loss ? (size_t)(1) : 0);
        at_least(&the_array[6], work ? (size_t)(4*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, r, s, index, p, q, loss, work));
    }
    return the_function.status;
}

smoe_status smoe_distill_kl_clamped_vjp(size_t T, size_t N, const double *r, const double *p, const double *q, double dloss, double *dr, double *work)
{
    static watched the_function = {.name = "smoe_distill_kl_clamped_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, const double *r, const double *p, const double *q, double dloss, double *dr, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, r, p, q, dloss, dr, work);
    array_of the_array[] = {
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], r ? (size_t)(T*N) : 0);
        at_least(&the_array[1], p ? (size_t)(T*N) : 0);
        at_least(&the_array[2], q ? (size_t)(T*N) : 0);
        at_least(&the_array[3], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[4], work ? (size_t)(4*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, r, p, q, dloss, dr, work));
    }
    return the_function.status;
}

smoe_status smoe_distill_kl_clamped_target_vjp(size_t T, size_t N, size_t K, const double *p, const double *q, const size_t *index, double dloss, double *ds, double *work)
{
    static watched the_function = {.name = "smoe_distill_kl_clamped_target_vjp"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, const double *p, const double *q, const size_t *index, double dloss, double *ds, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, p, q, index, dloss, ds, work);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(T*N) : 0);
        at_least(&the_array[1], q ? (size_t)(T*N) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], ds ? (size_t)(T*N) : 0);
        at_least(&the_array[4], work ? (size_t)(4*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, p, q, index, dloss, ds, work));
    }
    return the_function.status;
}

smoe_status smoe_compete_fractions(smoe_count which, size_t S, size_t N, size_t K, size_t A, const size_t *index, size_t *count, double *f)
{
    static watched the_function = {.name = "smoe_compete_fractions"};
    smoe_status (*real_one)(smoe_count which, size_t S, size_t N, size_t K, size_t A, const size_t *index, size_t *count, double *f);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(which, S, N, K, A, index, count, f);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"count", 0, IS_REAL(*count), sizeof *count, 0, &count},
        {"f", 0, IS_REAL(*f), sizeof *f, 0, &f},
    };
    const knob_of the_knob[] = {
        {"which", AN_ENUMERATOR, 0, &which},
        {"S", A_SIZE, 0, &S},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {"A", A_SIZE, 0, &A},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(S*K) : 0);
        at_least(&the_array[1], count ? (size_t)(N) : 0);
        at_least(&the_array[2], f ? (size_t)(N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(which, S, N, K, A, index, count, f));
    }
    return the_function.status;
}

smoe_status smoe_compete_balance(smoe_count which, size_t B, size_t S, size_t N, size_t K, size_t A, const double *s, const size_t *index, size_t *count, double *f, double *q, double *P, double *loss)
{
    static watched the_function = {.name = "smoe_compete_balance"};
    smoe_status (*real_one)(smoe_count which, size_t B, size_t S, size_t N, size_t K, size_t A, const double *s, const size_t *index, size_t *count, double *f, double *q, double *P, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(which, B, S, N, K, A, s, index, count, f, q, P, loss);
    array_of the_array[] = {
        {"s", 1, IS_REAL(*s), sizeof *s, 0, &s},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"count", 0, IS_REAL(*count), sizeof *count, 0, &count},
        {"f", 0, IS_REAL(*f), sizeof *f, 0, &f},
        {"q", 0, IS_REAL(*q), sizeof *q, 0, &q},
        {"P", 0, IS_REAL(*P), sizeof *P, 0, &P},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"which", AN_ENUMERATOR, 0, &which},
        {"B", A_SIZE, 1, &B},
        {"S", A_SIZE, 1, &S},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 1, &K},
        {"A", A_SIZE, 1, &A},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], s ? (size_t)(B*S*N) : 0);
        at_least(&the_array[1], index ? (size_t)(B*S*K) : 0);
        at_least(&the_array[2], count ? (size_t)(N) : 0);
        at_least(&the_array[3], f ? (size_t)(B*N) : 0);
        at_least(&the_array[4], q ? (size_t)(B*S*N) : 0);
        at_least(&the_array[5], P ? (size_t)(B*N) : 0);
        at_least(&the_array[6], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(which, B, S, N, K, A, s, index, count, f, q, P, loss));
    }
    return the_function.status;
}

smoe_status smoe_compete_balance_vjp(size_t B, size_t S, size_t N, const double *f, const double *q, double dloss, double *ds, double *work)
{
    static watched the_function = {.name = "smoe_compete_balance_vjp"};
    smoe_status (*real_one)(size_t B, size_t S, size_t N, const double *f, const double *q, double dloss, double *ds, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(B, S, N, f, q, dloss, ds, work);
    array_of the_array[] = {
        {"f", 1, IS_REAL(*f), sizeof *f, 0, &f},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"ds", 0, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"B", A_SIZE, 1, &B},
        {"S", A_SIZE, 1, &S},
        {"N", A_SIZE, 1, &N},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], f ? (size_t)(B*N) : 0);
        at_least(&the_array[1], q ? (size_t)(B*S*N) : 0);
        at_least(&the_array[2], ds ? (size_t)(B*S*N) : 0);
        at_least(&the_array[3], work ? (size_t)(B*N+N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(B, S, N, f, q, dloss, ds, work));
    }
    return the_function.status;
}

smoe_status smoe_mix_scores(size_t n, double share, const double *response, const double *r, double *s)
{
    static watched the_function = {.name = "smoe_mix_scores"};
    smoe_status (*real_one)(size_t n, double share, const double *response, const double *r, double *s);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, share, response, r, s);
    array_of the_array[] = {
        {"response", 1, IS_REAL(*response), sizeof *response, 0, &response},
        {"r", 1, IS_REAL(*r), sizeof *r, 0, &r},
        {"s", 0, IS_REAL(*s), sizeof *s, 0, &s},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"share", A_NUMBER, 0, &share},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], response ? (size_t)(n) : 0);
        at_least(&the_array[1], r ? (size_t)(n) : 0);
        at_least(&the_array[2], s ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, share, response, r, s));
    }
    return the_function.status;
}

smoe_status smoe_mix_scores_vjp(size_t n, double share, const double *ds, double *dresponse, double *dr)
{
    static watched the_function = {.name = "smoe_mix_scores_vjp"};
    smoe_status (*real_one)(size_t n, double share, const double *ds, double *dresponse, double *dr);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, share, ds, dresponse, dr);
    array_of the_array[] = {
        {"ds", 1, IS_REAL(*ds), sizeof *ds, 0, &ds},
        {"dresponse", 0, IS_REAL(*dresponse), sizeof *dresponse, 0, &dresponse},
        {"dr", 0, IS_REAL(*dr), sizeof *dr, 0, &dr},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"share", A_NUMBER, 0, &share},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], ds ? (size_t)(n) : 0);
        at_least(&the_array[1], dresponse ? (size_t)(n) : 0);
        at_least(&the_array[2], dr ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, share, ds, dresponse, dr));
    }
    return the_function.status;
}

smoe_status smoe_compete_lambda(size_t n, const double *t, const double *u, double *lambda, size_t *compete)
{
    static watched the_function = {.name = "smoe_compete_lambda"};
    smoe_status (*real_one)(size_t n, const double *t, const double *u, double *lambda, size_t *compete);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, t, u, lambda, compete);
    array_of the_array[] = {
        {"t", 1, IS_REAL(*t), sizeof *t, 0, &t},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"lambda", 0, IS_REAL(*lambda), sizeof *lambda, 0, &lambda},
        {"compete", 0, IS_REAL(*compete), sizeof *compete, 0, &compete},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], t ? (size_t)(n) : 0);
        at_least(&the_array[1], u ? (size_t)(n) : 0);
        at_least(&the_array[2], lambda ? (size_t)(n) : 0);
        at_least(&the_array[3], compete ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, t, u, lambda, compete));
    }
    return the_function.status;
}

smoe_status smoe_schedule_layer_mended(size_t F, size_t cap, double rate, const double *u, size_t *load, size_t *compete, size_t *lost)
{
    static watched the_function = {.name = "smoe_schedule_layer_mended"};
    smoe_status (*real_one)(size_t F, size_t cap, double rate, const double *u, size_t *load, size_t *compete, size_t *lost);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(F, cap, rate, u, load, compete, lost);
    array_of the_array[] = {
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"load", 0, IS_REAL(*load), sizeof *load, 0, &load},
        {"compete", 0, IS_REAL(*compete), sizeof *compete, 0, &compete},
        {"lost", 0, IS_REAL(*lost), sizeof *lost, 0, &lost},
    };
    const knob_of the_knob[] = {
        {"F", A_SIZE, 0, &F},
        {"cap", A_SIZE, 0, &cap},
        {"rate", A_NUMBER, 0, &rate},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], u ? (size_t)(F) : 0);
        at_least(&the_array[1], load ? (size_t)(F) : 0);
        at_least(&the_array[2], compete ? (size_t)(F) : 0);
        at_least(&the_array[3], lost ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(F, cap, rate, u, load, compete, lost));
    }
    return the_function.status;
}

smoe_status smoe_schedule_layer_published(size_t F, size_t cap, double rate, const double *u, size_t *load, size_t *compete, size_t *lost)
{
    static watched the_function = {.name = "smoe_schedule_layer_published"};
    smoe_status (*real_one)(size_t F, size_t cap, double rate, const double *u, size_t *load, size_t *compete, size_t *lost);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(F, cap, rate, u, load, compete, lost);
    array_of the_array[] = {
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"load", 0, IS_REAL(*load), sizeof *load, 0, &load},
        {"compete", 0, IS_REAL(*compete), sizeof *compete, 0, &compete},
        {"lost", 0, IS_REAL(*lost), sizeof *lost, 0, &lost},
    };
    const knob_of the_knob[] = {
        {"F", A_SIZE, 0, &F},
        {"cap", A_SIZE, 0, &cap},
        {"rate", A_NUMBER, 0, &rate},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], u ? (size_t)(F) : 0);
        at_least(&the_array[1], load ? (size_t)(F) : 0);
        at_least(&the_array[2], compete ? (size_t)(F) : 0);
        at_least(&the_array[3], lost ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(F, cap, rate, u, load, compete, lost));
    }
    return the_function.status;
}

smoe_status smoe_schedule(smoe_collision collision, size_t L, size_t S, size_t cap, double rate, double warm_up, const double *u, size_t *compete, size_t *load, size_t *lost)
{
    static watched the_function = {.name = "smoe_schedule"};
    smoe_status (*real_one)(smoe_collision collision, size_t L, size_t S, size_t cap, double rate, double warm_up, const double *u, size_t *compete, size_t *load, size_t *lost);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(collision, L, S, cap, rate, warm_up, u, compete, load, lost);
    array_of the_array[] = {
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"compete", 0, IS_REAL(*compete), sizeof *compete, 0, &compete},
        {"load", 0, IS_REAL(*load), sizeof *load, 0, &load},
        {"lost", 0, IS_REAL(*lost), sizeof *lost, 0, &lost},
    };
    const knob_of the_knob[] = {
        {"collision", AN_ENUMERATOR, 0, &collision},
        {"L", A_SIZE, 0, &L},
        {"S", A_SIZE, 0, &S},
        {"cap", A_SIZE, 0, &cap},
        {"rate", A_NUMBER, 0, &rate},
        {"warm_up", A_NUMBER, 0, &warm_up},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], u ? (size_t)(L*S) : 0);
        at_least(&the_array[1], compete ? (size_t)(L*S) : 0);
        at_least(&the_array[2], load ? (size_t)(S) : 0);
        at_least(&the_array[3], lost ? (size_t)(L) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(collision, L, S, cap, rate, warm_up, u, compete, load, lost));
    }
    return the_function.status;
}

smoe_status smoe_task_loss(size_t n, const double *y, const double *target, double *loss)
{
    static watched the_function = {.name = "smoe_task_loss"};
    smoe_status (*real_one)(size_t n, const double *y, const double *target, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, y, target, loss);
    array_of the_array[] = {
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"target", 1, IS_REAL(*target), sizeof *target, 0, &target},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 1, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], y ? (size_t)(n) : 0);
        at_least(&the_array[1], target ? (size_t)(n) : 0);
        at_least(&the_array[2], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, y, target, loss));
    }
    return the_function.status;
}

smoe_status smoe_task_loss_vjp(size_t n, const double *y, const double *target, double dloss, double *dy)
{
    static watched the_function = {.name = "smoe_task_loss_vjp"};
    smoe_status (*real_one)(size_t n, const double *y, const double *target, double dloss, double *dy);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, y, target, dloss, dy);
    array_of the_array[] = {
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"target", 1, IS_REAL(*target), sizeof *target, 0, &target},
        {"dy", 0, IS_REAL(*dy), sizeof *dy, 0, &dy},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 1, &n},
        {"dloss", A_NUMBER, 0, &dloss},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], y ? (size_t)(n) : 0);
        at_least(&the_array[1], target ? (size_t)(n) : 0);
        at_least(&the_array[2], dy ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, y, target, dloss, dy));
    }
    return the_function.status;
}

smoe_status smoe_train_compete(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const double *target, const smoe_compete_out *out, double *task, const smoe_compete_kept *kept)
{
    static watched the_function = {.name = "smoe_train_compete"};
    smoe_status (*real_one)(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const double *target, const smoe_compete_out *out, double *task, const smoe_compete_kept *kept);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, opt, in, target, out, task, kept);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    smoe_compete_options opt_ = *opt;
    opt = &opt_;
    smoe_layer_in in_ = *in;
    in = &in_;
    smoe_compete_out out_ = *out;
    out = &out_;
    smoe_compete_kept kept_ = *kept;
    kept = &kept_;
    array_of the_array[] = {
        {"target", 1, IS_REAL(*target), sizeof *target, 0, &target},
        {"task", 0, IS_REAL(*task), sizeof *task, 0, &task},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {"opt->version", AN_ENUMERATOR, 0, &opt_.version},
        {"opt->response", AN_ENUMERATOR, 0, &opt_.response},
        {"opt->weights", AN_ENUMERATOR, 0, &opt_.weights},
        {"opt->mix", A_NUMBER, 0, &opt_.mix},
        {"opt->count", AN_ENUMERATOR, 0, &opt_.count},
        {"opt->target", AN_ENUMERATOR, 0, &opt_.target},
        {"opt->diversity", AN_ENUMERATOR, 0, &opt_.diversity},
        {"opt->theta", A_NUMBER, 0, &opt_.theta},
        {"opt->c_task", A_NUMBER, 0, &opt_.c_task},
        {"opt->c_distill", A_NUMBER, 0, &opt_.c_distill},
        {"opt->c_diversity", A_NUMBER, 0, &opt_.c_diversity},
        {"opt->c_balance", A_NUMBER, 0, &opt_.c_balance},
        {"opt->c_zloss", A_NUMBER, 0, &opt_.c_zloss},
        {"opt->chunk", A_SIZE, 0, &opt_.chunk},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], target ? (size_t)(shape->T*shape->d) : 0);
        at_least(&the_array[1], task ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, opt, in, target, out, task, kept));
    }
    return the_function.status;
}

smoe_status smoe_train_router(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const double *target, const smoe_compete_out *out, double *task, const smoe_router_kept *kept)
{
    static watched the_function = {.name = "smoe_train_router"};
    smoe_status (*real_one)(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in, const double *target, const smoe_compete_out *out, double *task, const smoe_router_kept *kept);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, opt, in, target, out, task, kept);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    smoe_compete_options opt_ = *opt;
    opt = &opt_;
    smoe_layer_in in_ = *in;
    in = &in_;
    smoe_compete_out out_ = *out;
    out = &out_;
    smoe_router_kept kept_ = *kept;
    kept = &kept_;
    array_of the_array[] = {
        {"target", 1, IS_REAL(*target), sizeof *target, 0, &target},
        {"task", 0, IS_REAL(*task), sizeof *task, 0, &task},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {"opt->version", AN_ENUMERATOR, 0, &opt_.version},
        {"opt->response", AN_ENUMERATOR, 0, &opt_.response},
        {"opt->weights", AN_ENUMERATOR, 0, &opt_.weights},
        {"opt->mix", A_NUMBER, 0, &opt_.mix},
        {"opt->count", AN_ENUMERATOR, 0, &opt_.count},
        {"opt->target", AN_ENUMERATOR, 0, &opt_.target},
        {"opt->diversity", AN_ENUMERATOR, 0, &opt_.diversity},
        {"opt->theta", A_NUMBER, 0, &opt_.theta},
        {"opt->c_task", A_NUMBER, 0, &opt_.c_task},
        {"opt->c_distill", A_NUMBER, 0, &opt_.c_distill},
        {"opt->c_diversity", A_NUMBER, 0, &opt_.c_diversity},
        {"opt->c_balance", A_NUMBER, 0, &opt_.c_balance},
        {"opt->c_zloss", A_NUMBER, 0, &opt_.c_zloss},
        {"opt->chunk", A_SIZE, 0, &opt_.chunk},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], target ? (size_t)(shape->T*shape->d) : 0);
        at_least(&the_array[1], task ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, opt, in, target, out, task, kept));
    }
    return the_function.status;
}

smoe_status smoe_gram_linear(size_t n, size_t p, const double *x, double *K)
{
    static watched the_function = {.name = "smoe_gram_linear"};
    smoe_status (*real_one)(size_t n, size_t p, const double *x, double *K);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, p, x, K);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"K", 0, IS_REAL(*K), sizeof *K, 0, &K},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"p", A_SIZE, 0, &p},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*p) : 0);
        at_least(&the_array[1], K ? (size_t)(n*n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, p, x, K));
    }
    return the_function.status;
}

smoe_status smoe_gram_linear_vjp(size_t n, size_t p, const double *x, const double *dK, double *dx)
{
    static watched the_function = {.name = "smoe_gram_linear_vjp"};
    smoe_status (*real_one)(size_t n, size_t p, const double *x, const double *dK, double *dx);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, p, x, dK, dx);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"dK", 1, IS_REAL(*dK), sizeof *dK, 0, &dK},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"p", A_SIZE, 0, &p},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*p) : 0);
        at_least(&the_array[1], dK ? (size_t)(n*n) : 0);
        at_least(&the_array[2], dx ? (size_t)(n*p) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, p, x, dK, dx));
    }
    return the_function.status;
}

smoe_status smoe_squared_distances(size_t n, size_t p, const double *x, double *D)
{
    static watched the_function = {.name = "smoe_squared_distances"};
    smoe_status (*real_one)(size_t n, size_t p, const double *x, double *D);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, p, x, D);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"D", 0, IS_REAL(*D), sizeof *D, 0, &D},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"p", A_SIZE, 0, &p},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*p) : 0);
        at_least(&the_array[1], D ? (size_t)(n*n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, p, x, D));
    }
    return the_function.status;
}

smoe_status smoe_squared_distances_vjp(size_t n, size_t p, const double *x, const double *dD, double *dx)
{
    static watched the_function = {.name = "smoe_squared_distances_vjp"};
    smoe_status (*real_one)(size_t n, size_t p, const double *x, const double *dD, double *dx);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, p, x, dD, dx);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"dD", 1, IS_REAL(*dD), sizeof *dD, 0, &dD},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"p", A_SIZE, 0, &p},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*p) : 0);
        at_least(&the_array[1], dD ? (size_t)(n*n) : 0);
        at_least(&the_array[2], dx ? (size_t)(n*p) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, p, x, dD, dx));
    }
    return the_function.status;
}

smoe_status smoe_squared_distances_naive(size_t n, size_t p, const double *x, double *D)
{
    static watched the_function = {.name = "smoe_squared_distances_naive"};
    smoe_status (*real_one)(size_t n, size_t p, const double *x, double *D);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, p, x, D);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"D", 0, IS_REAL(*D), sizeof *D, 0, &D},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"p", A_SIZE, 0, &p},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*p) : 0);
        at_least(&the_array[1], D ? (size_t)(n*n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, p, x, D));
    }
    return the_function.status;
}

smoe_status smoe_squared_distances_vjp_naive(size_t n, size_t p, const double *x, const double *dD, double *dx)
{
    static watched the_function = {.name = "smoe_squared_distances_vjp_naive"};
    smoe_status (*real_one)(size_t n, size_t p, const double *x, const double *dD, double *dx);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, p, x, dD, dx);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"dD", 1, IS_REAL(*dD), sizeof *dD, 0, &dD},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"p", A_SIZE, 0, &p},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*p) : 0);
        at_least(&the_array[1], dD ? (size_t)(n*n) : 0);
        at_least(&the_array[2], dx ? (size_t)(n*p) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, p, x, dD, dx));
    }
    return the_function.status;
}

smoe_status smoe_bandwidth_absolute(double sigma, double *variance)
{
    static watched the_function = {.name = "smoe_bandwidth_absolute"};
    smoe_status (*real_one)(double sigma, double *variance);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(sigma, variance);
    array_of the_array[] = {
        {"variance", 0, IS_REAL(*variance), sizeof *variance, 0, &variance},
    };
    const knob_of the_knob[] = {
        {"sigma", A_NUMBER, 0, &sigma},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 1, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], variance ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(sigma, variance));
    }
    return the_function.status;
}

smoe_status smoe_bandwidth_median(const smoe_similarity *how, size_t n, const double *D, double *variance)
{
    static watched the_function = {.name = "smoe_bandwidth_median"};
    smoe_status (*real_one)(const smoe_similarity *how, size_t n, const double *D, double *variance);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(how, n, D, variance);
    smoe_similarity how_ = *how;
    how = &how_;
    array_of the_array[] = {
        {"D", 1, IS_REAL(*D), sizeof *D, 0, &D},
        {"variance", 0, IS_REAL(*variance), sizeof *variance, 0, &variance},
    };
    const knob_of the_knob[] = {
        {"how->kernel", AN_ENUMERATOR, 0, &how_.kernel},
        {"how->sigma", A_NUMBER, 0, &how_.sigma},
        {"how->bandwidth", AN_ENUMERATOR, 0, &how_.bandwidth},
        {"how->diagonal", AN_ENUMERATOR, 0, &how_.diagonal},
        {"how->middle", AN_ENUMERATOR, 0, &how_.middle},
        {"how->median", AN_ENUMERATOR, 0, &how_.median},
        {"how->estimator", AN_ENUMERATOR, 0, &how_.estimator},
        {"how->route", AN_ENUMERATOR, 0, &how_.route},
        {"how->divide", AN_ENUMERATOR, 0, &how_.divide},
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], D ? (size_t)(n*n) : 0);
        at_least(&the_array[1], variance ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(how, n, D, variance));
    }
    return the_function.status;
}

smoe_status smoe_gram_rbf(size_t n, const double *D, double variance, double *K)
{
    static watched the_function = {.name = "smoe_gram_rbf"};
    smoe_status (*real_one)(size_t n, const double *D, double variance, double *K);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, D, variance, K);
    array_of the_array[] = {
        {"D", 1, IS_REAL(*D), sizeof *D, 0, &D},
        {"K", 0, IS_REAL(*K), sizeof *K, 0, &K},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"variance", A_NUMBER, 0, &variance},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], D ? (size_t)(n*n) : 0);
        at_least(&the_array[1], K ? (size_t)(n*n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, D, variance, K));
    }
    return the_function.status;
}

smoe_status smoe_gram_rbf_less_one(size_t n, const double *D, double variance, double *K)
{
    static watched the_function = {.name = "smoe_gram_rbf_less_one"};
    smoe_status (*real_one)(size_t n, const double *D, double variance, double *K);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, D, variance, K);
    array_of the_array[] = {
        {"D", 1, IS_REAL(*D), sizeof *D, 0, &D},
        {"K", 0, IS_REAL(*K), sizeof *K, 0, &K},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"variance", A_NUMBER, 0, &variance},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], D ? (size_t)(n*n) : 0);
        at_least(&the_array[1], K ? (size_t)(n*n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, D, variance, K));
    }
    return the_function.status;
}

smoe_status smoe_gram_rbf_to_u_centre(size_t n, const double *D, double variance, double *K)
{
    static watched the_function = {.name = "smoe_gram_rbf_to_u_centre"};
    smoe_status (*real_one)(size_t n, const double *D, double variance, double *K);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, D, variance, K);
    array_of the_array[] = {
        {"D", 1, IS_REAL(*D), sizeof *D, 0, &D},
        {"K", 0, IS_REAL(*K), sizeof *K, 0, &K},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"variance", A_NUMBER, 0, &variance},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], D ? (size_t)(n*n) : 0);
        at_least(&the_array[1], K ? (size_t)(n*n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, D, variance, K));
    }
    return the_function.status;
}

smoe_status smoe_gram_rbf_vjp(size_t n, const double *D, double variance, const double *dK, double *dD, double *dvariance)
{
    static watched the_function = {.name = "smoe_gram_rbf_vjp"};
    smoe_status (*real_one)(size_t n, const double *D, double variance, const double *dK, double *dD, double *dvariance);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, D, variance, dK, dD, dvariance);
    array_of the_array[] = {
        {"D", 1, IS_REAL(*D), sizeof *D, 0, &D},
        {"dK", 1, IS_REAL(*dK), sizeof *dK, 0, &dK},
        {"dD", 0, IS_REAL(*dD), sizeof *dD, 0, &dD},
        {"dvariance", 0, IS_REAL(*dvariance), sizeof *dvariance, 0, &dvariance},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"variance", A_NUMBER, 0, &variance},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], D ? (size_t)(n*n) : 0);
        at_least(&the_array[1], dK ? (size_t)(n*n) : 0);
        at_least(&the_array[2], dD ? (size_t)(n*n) : 0);
        at_least(&the_array[3], dvariance ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, D, variance, dK, dD, dvariance));
    }
    return the_function.status;
}

smoe_status smoe_centre_features(size_t n, size_t p, const double *x, double *xc)
{
    static watched the_function = {.name = "smoe_centre_features"};
    smoe_status (*real_one)(size_t n, size_t p, const double *x, double *xc);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, p, x, xc);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"xc", 0, IS_REAL(*xc), sizeof *xc, 0, &xc},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"p", A_SIZE, 0, &p},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*p) : 0);
        at_least(&the_array[1], xc ? (size_t)(n*p) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, p, x, xc));
    }
    return the_function.status;
}

smoe_status smoe_centre(size_t n, const double *K, double *C)
{
    static watched the_function = {.name = "smoe_centre"};
    smoe_status (*real_one)(size_t n, const double *K, double *C);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, K, C);
    array_of the_array[] = {
        {"K", 1, IS_REAL(*K), sizeof *K, 0, &K},
        {"C", 0, IS_REAL(*C), sizeof *C, 0, &C},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], K ? (size_t)(n*n) : 0);
        at_least(&the_array[1], C ? (size_t)(n*n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, K, C));
    }
    return the_function.status;
}

smoe_status smoe_centre_definition(size_t n, const double *K, double *work, double *C)
{
    static watched the_function = {.name = "smoe_centre_definition"};
    smoe_status (*real_one)(size_t n, const double *K, double *work, double *C);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, K, work, C);
    array_of the_array[] = {
        {"K", 1, IS_REAL(*K), sizeof *K, 0, &K},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"C", 0, IS_REAL(*C), sizeof *C, 0, &C},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], K ? (size_t)(n*n) : 0);
        at_least(&the_array[1], work ? (size_t)(2*n*n) : 0);
        at_least(&the_array[2], C ? (size_t)(n*n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, K, work, C));
    }
    return the_function.status;
}

smoe_status smoe_hsic_biased(size_t n, const double *K, const double *L, smoe_hsic_divisor divide, double *work, double *hsic)
{
    static watched the_function = {.name = "smoe_hsic_biased"};
    smoe_status (*real_one)(size_t n, const double *K, const double *L, smoe_hsic_divisor divide, double *work, double *hsic);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, K, L, divide, work, hsic);
    array_of the_array[] = {
        {"K", 1, IS_REAL(*K), sizeof *K, 0, &K},
        {"L", 1, IS_REAL(*L), sizeof *L, 0, &L},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"hsic", 0, IS_REAL(*hsic), sizeof *hsic, 0, &hsic},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"divide", AN_ENUMERATOR, 0, &divide},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], K ? (size_t)(n*n) : 0);
        at_least(&the_array[1], L ? (size_t)(n*n) : 0);
        at_least(&the_array[2], work ? (size_t)(2*n*n) : 0);
        at_least(&the_array[3], hsic ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, K, L, divide, work, hsic));
    }
    return the_function.status;
}

smoe_status smoe_hsic_biased_vjp(size_t n, const double *K, const double *L, smoe_hsic_divisor divide, double dhsic, double *dK, double *dL)
{
    static watched the_function = {.name = "smoe_hsic_biased_vjp"};
    smoe_status (*real_one)(size_t n, const double *K, const double *L, smoe_hsic_divisor divide, double dhsic, double *dK, double *dL);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, K, L, divide, dhsic, dK, dL);
    array_of the_array[] = {
        {"K", 1, IS_REAL(*K), sizeof *K, 0, &K},
        {"L", 1, IS_REAL(*L), sizeof *L, 0, &L},
        {"dK", 0, IS_REAL(*dK), sizeof *dK, 0, &dK},
        {"dL", 0, IS_REAL(*dL), sizeof *dL, 0, &dL},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"divide", AN_ENUMERATOR, 0, &divide},
        {"dhsic", A_NUMBER, 0, &dhsic},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], K ? (size_t)(n*n) : 0);
        at_least(&the_array[1], L ? (size_t)(n*n) : 0);
        at_least(&the_array[2], dK ? (size_t)(n*n) : 0);
        at_least(&the_array[3], dL ? (size_t)(n*n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, K, L, divide, dhsic, dK, dL));
    }
    return the_function.status;
}

smoe_status smoe_u_centre(size_t n, const double *K, double *sums, double *U)
{
    static watched the_function = {.name = "smoe_u_centre"};
    smoe_status (*real_one)(size_t n, const double *K, double *sums, double *U);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, K, sums, U);
    array_of the_array[] = {
        {"K", 1, IS_REAL(*K), sizeof *K, 0, &K},
        {"sums", 0, IS_REAL(*sums), sizeof *sums, 0, &sums},
        {"U", 0, IS_REAL(*U), sizeof *U, 0, &U},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], K ? (size_t)(n*n) : 0);
        at_least(&the_array[1], sums ? (size_t)(2*n) : 0);
        at_least(&the_array[2], U ? (size_t)(n*n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, K, sums, U));
    }
    return the_function.status;
}

smoe_status smoe_hsic_unbiased(size_t n, const double *K, const double *L, double *hsic)
{
    static watched the_function = {.name = "smoe_hsic_unbiased"};
    smoe_status (*real_one)(size_t n, const double *K, const double *L, double *hsic);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, K, L, hsic);
    array_of the_array[] = {
        {"K", 1, IS_REAL(*K), sizeof *K, 0, &K},
        {"L", 1, IS_REAL(*L), sizeof *L, 0, &L},
        {"hsic", 0, IS_REAL(*hsic), sizeof *hsic, 0, &hsic},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], K ? (size_t)(n*n) : 0);
        at_least(&the_array[1], L ? (size_t)(n*n) : 0);
        at_least(&the_array[2], hsic ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, K, L, hsic));
    }
    return the_function.status;
}

smoe_status smoe_hsic_debiased(size_t n, const double *K, const double *L, double *work, double *hsic)
{
    static watched the_function = {.name = "smoe_hsic_debiased"};
    smoe_status (*real_one)(size_t n, const double *K, const double *L, double *work, double *hsic);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, K, L, work, hsic);
    array_of the_array[] = {
        {"K", 1, IS_REAL(*K), sizeof *K, 0, &K},
        {"L", 1, IS_REAL(*L), sizeof *L, 0, &L},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"hsic", 0, IS_REAL(*hsic), sizeof *hsic, 0, &hsic},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], K ? (size_t)(n*n) : 0);
        at_least(&the_array[1], L ? (size_t)(n*n) : 0);
        at_least(&the_array[2], work ? (size_t)(2*n*n+2*n) : 0);
        at_least(&the_array[3], hsic ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, K, L, work, hsic));
    }
    return the_function.status;
}

smoe_status smoe_hsic_unbiased_vjp(size_t n, const double *K, const double *L, double dhsic, double *sums, double *dK, double *dL)
{
    static watched the_function = {.name = "smoe_hsic_unbiased_vjp"};
    smoe_status (*real_one)(size_t n, const double *K, const double *L, double dhsic, double *sums, double *dK, double *dL);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, K, L, dhsic, sums, dK, dL);
    array_of the_array[] = {
        {"K", 1, IS_REAL(*K), sizeof *K, 0, &K},
        {"L", 1, IS_REAL(*L), sizeof *L, 0, &L},
        {"sums", 0, IS_REAL(*sums), sizeof *sums, 0, &sums},
        {"dK", 0, IS_REAL(*dK), sizeof *dK, 0, &dK},
        {"dL", 0, IS_REAL(*dL), sizeof *dL, 0, &dL},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"dhsic", A_NUMBER, 0, &dhsic},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], K ? (size_t)(n*n) : 0);
        at_least(&the_array[1], L ? (size_t)(n*n) : 0);
        at_least(&the_array[2], sums ? (size_t)(2*n) : 0);
        at_least(&the_array[3], dK ? (size_t)(n*n) : 0);
        at_least(&the_array[4], dL ? (size_t)(n*n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, K, L, dhsic, sums, dK, dL));
    }
    return the_function.status;
}

smoe_status smoe_cka_ratio(double h_xy, double h_xx, double h_yy, double *cka)
{
    static watched the_function = {.name = "smoe_cka_ratio"};
    smoe_status (*real_one)(double h_xy, double h_xx, double h_yy, double *cka);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(h_xy, h_xx, h_yy, cka);
    array_of the_array[] = {
        {"cka", 0, IS_REAL(*cka), sizeof *cka, 0, &cka},
    };
    const knob_of the_knob[] = {
        {"h_xy", A_NUMBER, 0, &h_xy},
        {"h_xx", A_NUMBER, 0, &h_xx},
        {"h_yy", A_NUMBER, 0, &h_yy},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 1, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], cka ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(h_xy, h_xx, h_yy, cka));
    }
    return the_function.status;
}

smoe_status smoe_cka_ratio_vjp(double h_xy, double h_xx, double h_yy, double dcka, double *dh_xy, double *dh_xx, double *dh_yy)
{
    static watched the_function = {.name = "smoe_cka_ratio_vjp"};
    smoe_status (*real_one)(double h_xy, double h_xx, double h_yy, double dcka, double *dh_xy, double *dh_xx, double *dh_yy);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(h_xy, h_xx, h_yy, dcka, dh_xy, dh_xx, dh_yy);
    array_of the_array[] = {
        {"dh_xy", 0, IS_REAL(*dh_xy), sizeof *dh_xy, 0, &dh_xy},
        {"dh_xx", 0, IS_REAL(*dh_xx), sizeof *dh_xx, 0, &dh_xx},
        {"dh_yy", 0, IS_REAL(*dh_yy), sizeof *dh_yy, 0, &dh_yy},
    };
    const knob_of the_knob[] = {
        {"h_xy", A_NUMBER, 0, &h_xy},
        {"h_xx", A_NUMBER, 0, &h_xx},
        {"h_yy", A_NUMBER, 0, &h_yy},
        {"dcka", A_NUMBER, 0, &dcka},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], dh_xy ? (size_t)(1) : 0);
        at_least(&the_array[1], dh_xx ? (size_t)(1) : 0);
        at_least(&the_array[2], dh_yy ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(h_xy, h_xx, h_yy, dcka, dh_xy, dh_xx, dh_yy));
    }
    return the_function.status;
}

smoe_status smoe_hsic_moments(const smoe_moments *m, smoe_estimator estimator, smoe_hsic_divisor divide, double *work, double *hsic)
{
    static watched the_function = {.name = "smoe_hsic_moments"};
    smoe_status (*real_one)(const smoe_moments *m, smoe_estimator estimator, smoe_hsic_divisor divide, double *work, double *hsic);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(m, estimator, divide, work, hsic);
    smoe_moments m_ = *m;
    m = &m_;
    array_of the_array[] = {
        {"hsic", 0, IS_REAL(*hsic), sizeof *hsic, 0, &hsic},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"m->sx", 1, IS_REAL(*m_.sx), sizeof *m_.sx, 0, &m_.sx},
        {"m->sy", 1, IS_REAL(*m_.sy), sizeof *m_.sy, 0, &m_.sy},
        {"m->c", 1, IS_REAL(*m_.c), sizeof *m_.c, 0, &m_.c},
        {"m->xyy", 1, IS_REAL(*m_.xyy), sizeof *m_.xyy, 0, &m_.xyy},
        {"m->yxx", 1, IS_REAL(*m_.yxx), sizeof *m_.yxx, 0, &m_.yxx},
    };
    const knob_of the_knob[] = {
        {"m->n", A_SIZE, 0, &m_.n},
        {"m->p", A_SIZE, 0, &m_.p},
        {"m->q", A_SIZE, 0, &m_.q},
        {"m->xx", A_NUMBER, 0, &m_.xx},
        {"m->yy", A_NUMBER, 0, &m_.yy},
        {"m->xxyy", A_NUMBER, 0, &m_.xxyy},
        {"estimator", AN_ENUMERATOR, 0, &estimator},
        {"divide", AN_ENUMERATOR, 0, &divide},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], hsic ? (size_t)(1) : 0);
        at_least(&the_array[1], work ? (size_t)(m->p) : 0);
        at_least(&the_array[2], m_.sx ? (size_t)(m->p) : 0);
        at_least(&the_array[3], m_.sy ? (size_t)(m->q) : 0);
        at_least(&the_array[4], m_.c ? (size_t)(m->p*m->q) : 0);
        at_least(&the_array[5], m_.xyy ? (size_t)(m->p) : 0);
        at_least(&the_array[6], m_.yxx ? (size_t)(m->q) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(m, estimator, divide, work, hsic));
    }
    return the_function.status;
}

smoe_status smoe_cka_of_batches(size_t batches, double sum_xy, double sum_xx, double sum_yy, double *cka)
{
    static watched the_function = {.name = "smoe_cka_of_batches"};
    smoe_status (*real_one)(size_t batches, double sum_xy, double sum_xx, double sum_yy, double *cka);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(batches, sum_xy, sum_xx, sum_yy, cka);
    array_of the_array[] = {
        {"cka", 0, IS_REAL(*cka), sizeof *cka, 0, &cka},
    };
    const knob_of the_knob[] = {
        {"batches", A_SIZE, 1, &batches},
        {"sum_xy", A_NUMBER, 0, &sum_xy},
        {"sum_xx", A_NUMBER, 0, &sum_xx},
        {"sum_yy", A_NUMBER, 0, &sum_yy},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 1, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], cka ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(batches, sum_xy, sum_xx, sum_yy, cka));
    }
    return the_function.status;
}

smoe_status smoe_cosine(size_t n, size_t d, const double *x, const double *y, double *value)
{
    static watched the_function = {.name = "smoe_cosine"};
    smoe_status (*real_one)(size_t n, size_t d, const double *x, const double *y, double *value);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, d, x, y, value);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 1, &n},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*d) : 0);
        at_least(&the_array[1], y ? (size_t)(n*d) : 0);
        at_least(&the_array[2], value ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, d, x, y, value));
    }
    return the_function.status;
}

smoe_status smoe_cosine_vjp(size_t n, size_t d, const double *x, const double *y, double dvalue, double *dx, double *dy)
{
    static watched the_function = {.name = "smoe_cosine_vjp"};
    smoe_status (*real_one)(size_t n, size_t d, const double *x, const double *y, double dvalue, double *dx, double *dy);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, d, x, y, dvalue, dx, dy);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dy", 0, IS_REAL(*dy), sizeof *dy, 0, &dy},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 1, &n},
        {"d", A_SIZE, 1, &d},
        {"dvalue", A_NUMBER, 0, &dvalue},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*d) : 0);
        at_least(&the_array[1], y ? (size_t)(n*d) : 0);
        at_least(&the_array[2], dx ? (size_t)(n*d) : 0);
        at_least(&the_array[3], dy ? (size_t)(n*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, d, x, y, dvalue, dx, dy));
    }
    return the_function.status;
}

smoe_status smoe_cosine_absolute(size_t n, size_t d, const double *x, const double *y, double *value)
{
    static watched the_function = {.name = "smoe_cosine_absolute"};
    smoe_status (*real_one)(size_t n, size_t d, const double *x, const double *y, double *value);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, d, x, y, value);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"value", 0, IS_REAL(*value), sizeof *value, 0, &value},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 1, &n},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*d) : 0);
        at_least(&the_array[1], y ? (size_t)(n*d) : 0);
        at_least(&the_array[2], value ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, d, x, y, value));
    }
    return the_function.status;
}

smoe_status smoe_cosine_absolute_vjp(size_t n, size_t d, const double *x, const double *y, double dvalue, double *dx, double *dy)
{
    static watched the_function = {.name = "smoe_cosine_absolute_vjp"};
    smoe_status (*real_one)(size_t n, size_t d, const double *x, const double *y, double dvalue, double *dx, double *dy);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, d, x, y, dvalue, dx, dy);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dy", 0, IS_REAL(*dy), sizeof *dy, 0, &dy},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 1, &n},
        {"d", A_SIZE, 1, &d},
        {"dvalue", A_NUMBER, 0, &dvalue},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*d) : 0);
        at_least(&the_array[1], y ? (size_t)(n*d) : 0);
        at_least(&the_array[2], dx ? (size_t)(n*d) : 0);
        at_least(&the_array[3], dy ? (size_t)(n*d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, d, x, y, dvalue, dx, dy));
    }
    return the_function.status;
}

smoe_status smoe_head_mlp(size_t n, size_t d, size_t g, size_t p, const double *o, const double *wh, const double *bh, const double *wp, const double *bp, double *a, double *u, double *z)
{
    static watched the_function = {.name = "smoe_head_mlp"};
    smoe_status (*real_one)(size_t n, size_t d, size_t g, size_t p, const double *o, const double *wh, const double *bh, const double *wp, const double *bp, double *a, double *u, double *z);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, d, g, p, o, wh, bh, wp, bp, a, u, z);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"wh", 1, IS_REAL(*wh), sizeof *wh, 0, &wh},
        {"bh", 1, IS_REAL(*bh), sizeof *bh, 0, &bh},
        {"wp", 1, IS_REAL(*wp), sizeof *wp, 0, &wp},
        {"bp", 1, IS_REAL(*bp), sizeof *bp, 0, &bp},
        {"a", 0, IS_REAL(*a), sizeof *a, 0, &a},
        {"u", 0, IS_REAL(*u), sizeof *u, 0, &u},
        {"z", 0, IS_REAL(*z), sizeof *z, 0, &z},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"d", A_SIZE, 1, &d},
        {"g", A_SIZE, 1, &g},
        {"p", A_SIZE, 1, &p},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 8, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(n*d) : 0);
        at_least(&the_array[1], wh ? (size_t)(g*d) : 0);
        at_least(&the_array[2], bh ? (size_t)(g) : 0);
        at_least(&the_array[3], wp ? (size_t)(p*g) : 0);
        at_least(&the_array[4], bp ? (size_t)(p) : 0);
        at_least(&the_array[5], a ? (size_t)(n*g) : 0);
        at_least(&the_array[6], u ? (size_t)(n*g) : 0);
        at_least(&the_array[7], z ? (size_t)(n*p) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, d, g, p, o, wh, bh, wp, bp, a, u, z));
    }
    return the_function.status;
}

smoe_status smoe_head_linear(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *bp, double *z)
{
    static watched the_function = {.name = "smoe_head_linear"};
    smoe_status (*real_one)(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *bp, double *z);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, d, p, o, wp, bp, z);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"wp", 1, IS_REAL(*wp), sizeof *wp, 0, &wp},
        {"bp", 1, IS_REAL(*bp), sizeof *bp, 0, &bp},
        {"z", 0, IS_REAL(*z), sizeof *z, 0, &z},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"d", A_SIZE, 1, &d},
        {"p", A_SIZE, 1, &p},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(n*d) : 0);
        at_least(&the_array[1], wp ? (size_t)(p*d) : 0);
        at_least(&the_array[2], bp ? (size_t)(p) : 0);
        at_least(&the_array[3], z ? (size_t)(n*p) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, d, p, o, wp, bp, z));
    }
    return the_function.status;
}

smoe_status smoe_head_linear_vjp(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *dz, double *do_, double *dwp, double *dbp)
{
    static watched the_function = {.name = "smoe_head_linear_vjp"};
    smoe_status (*real_one)(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *dz, double *do_, double *dwp, double *dbp);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, d, p, o, wp, dz, do_, dwp, dbp);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"wp", 1, IS_REAL(*wp), sizeof *wp, 0, &wp},
        {"dz", 1, IS_REAL(*dz), sizeof *dz, 0, &dz},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
        {"dwp", 0, IS_REAL(*dwp), sizeof *dwp, 0, &dwp},
        {"dbp", 0, IS_REAL(*dbp), sizeof *dbp, 0, &dbp},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"d", A_SIZE, 1, &d},
        {"p", A_SIZE, 1, &p},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(n*d) : 0);
        at_least(&the_array[1], wp ? (size_t)(p*d) : 0);
        at_least(&the_array[2], dz ? (size_t)(n*p) : 0);
        at_least(&the_array[3], do_ ? (size_t)(n*d) : 0);
        at_least(&the_array[4], dwp ? (size_t)(p*d) : 0);
        at_least(&the_array[5], dbp ? (size_t)(p) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, d, p, o, wp, dz, do_, dwp, dbp));
    }
    return the_function.status;
}

smoe_status smoe_head_linear_vjp_acc(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *dz, double *do_, double *dwp, double *dbp)
{
    static watched the_function = {.name = "smoe_head_linear_vjp_acc"};
    smoe_status (*real_one)(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *dz, double *do_, double *dwp, double *dbp);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, d, p, o, wp, dz, do_, dwp, dbp);
    array_of the_array[] = {
        {"o", 1, IS_REAL(*o), sizeof *o, 0, &o},
        {"wp", 1, IS_REAL(*wp), sizeof *wp, 0, &wp},
        {"dz", 1, IS_REAL(*dz), sizeof *dz, 0, &dz},
        {"do_", 0, IS_REAL(*do_), sizeof *do_, 0, &do_},
        {"dwp", 0, IS_REAL(*dwp), sizeof *dwp, 0, &dwp},
        {"dbp", 0, IS_REAL(*dbp), sizeof *dbp, 0, &dbp},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 0, &n},
        {"d", A_SIZE, 1, &d},
        {"p", A_SIZE, 1, &p},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], o ? (size_t)(n*d) : 0);
        at_least(&the_array[1], wp ? (size_t)(p*d) : 0);
        at_least(&the_array[2], dz ? (size_t)(n*p) : 0);
        at_least(&the_array[3], do_ ? (size_t)(n*d) : 0);
        at_least(&the_array[4], dwp ? (size_t)(p*d) : 0);
        at_least(&the_array[5], dbp ? (size_t)(p) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, d, p, o, wp, dz, do_, dwp, dbp));
    }
    return the_function.status;
}

smoe_status smoe_shared_tokens(size_t T, size_t N, size_t K, const size_t *index, size_t *shared)
{
    static watched the_function = {.name = "smoe_shared_tokens"};
    smoe_status (*real_one)(size_t T, size_t N, size_t K, const size_t *index, size_t *shared);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(T, N, K, index, shared);
    array_of the_array[] = {
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"shared", 0, IS_REAL(*shared), sizeof *shared, 0, &shared},
    };
    const knob_of the_knob[] = {
        {"T", A_SIZE, 0, &T},
        {"N", A_SIZE, 0, &N},
        {"K", A_SIZE, 0, &K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], index ? (size_t)(T*K) : 0);
        at_least(&the_array[1], shared ? (size_t)(N*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(T, N, K, index, shared));
    }
    return the_function.status;
}

smoe_status smoe_pair_counters(smoe_pair_unit unit, smoe_compare compare, smoe_absent absent, double frequency, size_t T, size_t N, const size_t *shared, const double *counter, double *next, size_t *selected)
{
    static watched the_function = {.name = "smoe_pair_counters"};
    smoe_status (*real_one)(smoe_pair_unit unit, smoe_compare compare, smoe_absent absent, double frequency, size_t T, size_t N, const size_t *shared, const double *counter, double *next, size_t *selected);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(unit, compare, absent, frequency, T, N, shared, counter, next, selected);
    array_of the_array[] = {
        {"shared", 1, IS_REAL(*shared), sizeof *shared, 0, &shared},
        {"counter", 1, IS_REAL(*counter), sizeof *counter, 0, &counter},
        {"next", 0, IS_REAL(*next), sizeof *next, 0, &next},
        {"selected", 0, IS_REAL(*selected), sizeof *selected, 0, &selected},
    };
    const knob_of the_knob[] = {
        {"unit", AN_ENUMERATOR, 0, &unit},
        {"compare", AN_ENUMERATOR, 0, &compare},
        {"absent", AN_ENUMERATOR, 0, &absent},
        {"frequency", A_NUMBER, 0, &frequency},
        {"T", A_SIZE, 1, &T},
        {"N", A_SIZE, 1, &N},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], shared ? (size_t)(N*N) : 0);
        at_least(&the_array[1], counter ? (size_t)(N*N) : 0);
        at_least(&the_array[2], next ? (size_t)(N*N) : 0);
        at_least(&the_array[3], selected ? (size_t)(N*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(unit, compare, absent, frequency, T, N, shared, counter, next, selected));
    }
    return the_function.status;
}

smoe_status smoe_represent(const smoe_simsmoe_shape *shape, const smoe_simsmoe_in *in, size_t i, size_t n, const double *X, const smoe_representation *out)
{
    static watched the_function = {.name = "smoe_represent"};
    smoe_status (*real_one)(const smoe_simsmoe_shape *shape, const smoe_simsmoe_in *in, size_t i, size_t n, const double *X, const smoe_representation *out);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, in, i, n, X, out);
    smoe_simsmoe_shape shape_ = *shape;
    shape = &shape_;
    smoe_simsmoe_in in_ = *in;
    in = &in_;
    smoe_representation out_ = *out;
    out = &out_;
    array_of the_array[] = {
        {"X", 1, IS_REAL(*X), sizeof *X, 0, &X},
        {"out->z", 0, IS_REAL(*out_.z), sizeof *out_.z, 0, &out_.z},
    };
    const knob_of the_knob[] = {
        {"shape->layer.order", AN_ENUMERATOR, 0, &shape_.layer.order},
        {"shape->layer.phi", AN_ENUMERATOR, 0, &shape_.layer.phi},
        {"shape->layer.T", A_SIZE, 0, &shape_.layer.T},
        {"shape->layer.d", A_SIZE, 0, &shape_.layer.d},
        {"shape->layer.h", A_SIZE, 0, &shape_.layer.h},
        {"shape->layer.N", A_SIZE, 0, &shape_.layer.N},
        {"shape->layer.K", A_SIZE, 0, &shape_.layer.K},
        {"shape->head", AN_ENUMERATOR, 0, &shape_.head},
        {"shape->g", A_SIZE, 0, &shape_.g},
        {"shape->p", A_SIZE, 0, &shape_.p},
        {"i", A_SIZE, 0, &i},
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 2, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], X ? (size_t)(n*shape->layer.d) : 0);
        at_least(&the_array[1], out_.z ? (size_t)(n*shape->p) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, in, i, n, X, out));
    }
    return the_function.status;
}

smoe_status smoe_router(const smoe_layer_shape *shape, const double *x, const double *wr, const double *br, double *r, size_t *index, double *weight, double *margin, double *p)
{
    static watched the_function = {.name = "smoe_router"};
    smoe_status (*real_one)(const smoe_layer_shape *shape, const double *x, const double *wr, const double *br, double *r, size_t *index, double *weight, double *margin, double *p);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, x, wr, br, r, index, weight, margin, p);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"wr", 1, IS_REAL(*wr), sizeof *wr, 0, &wr},
        {"br", 1, IS_REAL(*br), sizeof *br, 0, &br},
        {"r", 0, IS_REAL(*r), sizeof *r, 0, &r},
        {"index", 0, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 0, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
        {"p", 0, IS_REAL(*p), sizeof *p, 0, &p},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 8, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t d = shape->d;
        (void)d;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], wr ? (size_t)(N*d) : 0);
        at_least(&the_array[2], br ? (size_t)(N) : 0);
        at_least(&the_array[3], r ? (size_t)(T*N) : 0);
        at_least(&the_array[4], index ? (size_t)(T*K) : 0);
        at_least(&the_array[5], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[6], margin ? (size_t)(T) : 0);
        at_least(&the_array[7], p ? (size_t)(T*N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, x, wr, br, r, index, weight, margin, p));
    }
    return the_function.status;
}

smoe_status smoe_router_vjp(const smoe_layer_shape *shape, const double *x, const double *wr, const size_t *index, const double *weight, const double *p, const double *dr, const double *dweight, const double *dx_experts, double *dx, double *dwr, double *dbr, double *work)
{
    static watched the_function = {.name = "smoe_router_vjp"};
    smoe_status (*real_one)(const smoe_layer_shape *shape, const double *x, const double *wr, const size_t *index, const double *weight, const double *p, const double *dr, const double *dweight, const double *dx_experts, double *dx, double *dwr, double *dbr, double *work);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, x, wr, index, weight, p, dr, dweight, dx_experts, dx, dwr, dbr, work);
    smoe_layer_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"wr", 1, IS_REAL(*wr), sizeof *wr, 0, &wr},
        {"index", 1, IS_REAL(*index), sizeof *index, 0, &index},
        {"weight", 1, IS_REAL(*weight), sizeof *weight, 0, &weight},
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"dr", 1, IS_REAL(*dr), sizeof *dr, 0, &dr},
        {"dweight", 1, IS_REAL(*dweight), sizeof *dweight, 0, &dweight},
        {"dx_experts", 1, IS_REAL(*dx_experts), sizeof *dx_experts, 0, &dx_experts},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dwr", 0, IS_REAL(*dwr), sizeof *dwr, 0, &dwr},
        {"dbr", 0, IS_REAL(*dbr), sizeof *dbr, 0, &dbr},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
    };
    const knob_of the_knob[] = {
        {"shape->order", AN_ENUMERATOR, 0, &shape_.order},
        {"shape->phi", AN_ENUMERATOR, 0, &shape_.phi},
        {"shape->T", A_SIZE, 0, &shape_.T},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->h", A_SIZE, 0, &shape_.h},
        {"shape->N", A_SIZE, 0, &shape_.N},
        {"shape->K", A_SIZE, 0, &shape_.K},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 12, the_array, the_knob);
    while (watch_more(&the_function)) {
        const size_t T = shape->T;
        (void)T;
        const size_t d = shape->d;
        (void)d;
        const size_t N = shape->N;
        (void)N;
        const size_t K = shape->K;
        (void)K;
        at_least(&the_array[0], x ? (size_t)(T*d) : 0);
        at_least(&the_array[1], wr ? (size_t)(N*d) : 0);
        at_least(&the_array[2], index ? (size_t)(T*K) : 0);
        at_least(&the_array[3], weight ? (size_t)(T*K) : 0);
        at_least(&the_array[4], p ? (size_t)(T*N) : 0);
        at_least(&the_array[5], dr ? (size_t)(T*N) : 0);
        at_least(&the_array[6], dweight ? (size_t)(T*K) : 0);
        at_least(&the_array[7], dx_experts ? (size_t)(T*d) : 0);
        at_least(&the_array[8], dx ? (size_t)(T*d) : 0);
        at_least(&the_array[9], dwr ? (size_t)(N*d) : 0);
        at_least(&the_array[10], dbr ? (size_t)(N) : 0);
        at_least(&the_array[11], work ? (size_t)(T*N+T*d+N) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, x, wr, index, weight, p, dr, dweight, dx_experts, dx, dwr, dbr, work));
    }
    return the_function.status;
}

smoe_status smoe_mix_mean(const smoe_mix_shape *shape, const double *eta, const double *x, double *work, double *h)
{
    static watched the_function = {.name = "smoe_mix_mean"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, const double *eta, const double *x, double *work, double *h);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, eta, x, work, h);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"eta", 1, IS_REAL(*eta), sizeof *eta, 0, &eta},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"h", 0, IS_REAL(*h), sizeof *h, 0, &h},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], eta ? (size_t)(mix_e(shape)) : 0);
        at_least(&the_array[1], x ? (size_t)(shape->d) : 0);
        at_least(&the_array[2], work ? (size_t)(shape->H) : 0);
        at_least(&the_array[3], h ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, eta, x, work, h));
    }
    return the_function.status;
}

smoe_status smoe_mix_mean_vjp(const smoe_mix_shape *shape, const double *eta, const double *x, double dh, double *deta, double *dx)
{
    static watched the_function = {.name = "smoe_mix_mean_vjp"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, const double *eta, const double *x, double dh, double *deta, double *dx);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, eta, x, dh, deta, dx);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"eta", 1, IS_REAL(*eta), sizeof *eta, 0, &eta},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"deta", 0, IS_REAL(*deta), sizeof *deta, 0, &deta},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"dh", A_NUMBER, 0, &dh},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], eta ? (size_t)(mix_e(shape)) : 0);
        at_least(&the_array[1], x ? (size_t)(shape->d) : 0);
        at_least(&the_array[2], deta ? (size_t)(mix_e(shape)) : 0);
        at_least(&the_array[3], dx ? (size_t)(shape->d) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, eta, x, dh, deta, dx));
    }
    return the_function.status;
}

smoe_status smoe_mix_at(const smoe_mix_shape *shape, const double *theta, const double *x, double *work, double *at, double *margin)
{
    static watched the_function = {.name = "smoe_mix_at"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, const double *theta, const double *x, double *work, double *at, double *margin);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, theta, x, work, at, margin);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"at", 0, IS_REAL(*at), sizeof *at, 0, &at},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(shape->d) : 0);
        at_least(&the_array[3], at ? (size_t)(4*shape->k) : 0);
        at_least(&the_array[4], margin ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, theta, x, work, at, margin));
    }
    return the_function.status;
}

smoe_status smoe_mix_weights(const smoe_mix_shape *shape, const double *theta, const double *x, double *work, double *pi, double *margin)
{
    static watched the_function = {.name = "smoe_mix_weights"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, const double *theta, const double *x, double *work, double *pi, double *margin);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, theta, x, work, pi, margin);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"pi", 0, IS_REAL(*pi), sizeof *pi, 0, &pi},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(shape->d) : 0);
        at_least(&the_array[3], pi ? (size_t)(shape->k) : 0);
        at_least(&the_array[4], margin ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, theta, x, work, pi, margin));
    }
    return the_function.status;
}

smoe_status smoe_mix_log_density(const smoe_mix_shape *shape, const double *theta, const double *x, double y, double *work, double *logp)
{
    static watched the_function = {.name = "smoe_mix_log_density"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, const double *theta, const double *x, double y, double *work, double *logp);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, theta, x, y, work, logp);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"logp", 0, IS_REAL(*logp), sizeof *logp, 0, &logp},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"y", A_NUMBER, 0, &y},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(shape->d) : 0);
        at_least(&the_array[3], logp ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, theta, x, y, work, logp));
    }
    return the_function.status;
}

smoe_status smoe_mix_log_density_vjp(const smoe_mix_shape *shape, const double *theta, const double *x, double y, double dlogp, double *work, double *dtheta, double *dx, double *dy)
{
    static watched the_function = {.name = "smoe_mix_log_density_vjp"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, const double *theta, const double *x, double y, double dlogp, double *work, double *dtheta, double *dx, double *dy);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, theta, x, y, dlogp, work, dtheta, dx, dy);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"dtheta", 0, IS_REAL(*dtheta), sizeof *dtheta, 0, &dtheta},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dy", 0, IS_REAL(*dy), sizeof *dy, 0, &dy},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"y", A_NUMBER, 0, &y},
        {"dlogp", A_NUMBER, 0, &dlogp},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(shape->d) : 0);
        at_least(&the_array[3], dtheta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[4], dx ? (size_t)(shape->d) : 0);
        at_least(&the_array[5], dy ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, theta, x, y, dlogp, work, dtheta, dx, dy));
    }
    return the_function.status;
}

smoe_status smoe_mix_loglik(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, double *work, double *loglik)
{
    static watched the_function = {.name = "smoe_mix_loglik"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, double *work, double *loglik);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, n, theta, x, y, work, loglik);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"loglik", 0, IS_REAL(*loglik), sizeof *loglik, 0, &loglik},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"n", A_SIZE, 1, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[3], y ? (size_t)(n) : 0);
        at_least(&the_array[4], loglik ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, n, theta, x, y, work, loglik));
    }
    return the_function.status;
}

smoe_status smoe_mix_loglik_vjp(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, double dloglik, double *work, double *dtheta, double *dx, double *dy)
{
    static watched the_function = {.name = "smoe_mix_loglik_vjp"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, double dloglik, double *work, double *dtheta, double *dx, double *dy);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, n, theta, x, y, dloglik, work, dtheta, dx, dy);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"dtheta", 0, IS_REAL(*dtheta), sizeof *dtheta, 0, &dtheta},
        {"dx", 0, IS_REAL(*dx), sizeof *dx, 0, &dx},
        {"dy", 0, IS_REAL(*dy), sizeof *dy, 0, &dy},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"n", A_SIZE, 0, &n},
        {"dloglik", A_NUMBER, 0, &dloglik},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[3], y ? (size_t)(n) : 0);
        at_least(&the_array[4], dtheta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[5], dx ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[6], dy ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, n, theta, x, y, dloglik, work, dtheta, dx, dy));
    }
    return the_function.status;
}

smoe_status smoe_mix_loglik_score(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, double *work, double *loglik, double *score)
{
    static watched the_function = {.name = "smoe_mix_loglik_score"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, double *work, double *loglik, double *score);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, n, theta, x, y, work, loglik, score);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"loglik", 0, IS_REAL(*loglik), sizeof *loglik, 0, &loglik},
        {"score", 0, IS_REAL(*score), sizeof *score, 0, &score},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[3], y ? (size_t)(n) : 0);
        at_least(&the_array[4], loglik ? (size_t)(1) : 0);
        at_least(&the_array[5], score ? (size_t)(mix_all(shape)) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, n, theta, x, y, work, loglik, score));
    }
    return the_function.status;
}

smoe_status smoe_mix_hvp(const smoe_mix_shape *shape, size_t n, const double *theta, const double *v, const double *x, const double *y, double *work, double *Hv)
{
    static watched the_function = {.name = "smoe_mix_hvp"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, size_t n, const double *theta, const double *v, const double *x, const double *y, double *work, double *Hv);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, n, theta, v, x, y, work, Hv);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"v", 1, IS_REAL(*v), sizeof *v, 0, &v},
        {"Hv", 0, IS_REAL(*Hv), sizeof *Hv, 0, &Hv},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[3], y ? (size_t)(n) : 0);
        at_least(&the_array[4], v ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[5], Hv ? (size_t)(mix_all(shape)) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, n, theta, v, x, y, work, Hv));
    }
    return the_function.status;
}

smoe_status smoe_mix_sample(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *u, const double *z, double *work, size_t *label, double *margin, double *y)
{
    static watched the_function = {.name = "smoe_mix_sample"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *u, const double *z, double *work, size_t *label, double *margin, double *y);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, n, theta, x, u, z, work, label, margin, y);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"u", 1, IS_REAL(*u), sizeof *u, 0, &u},
        {"z", 1, IS_REAL(*z), sizeof *z, 0, &z},
        {"label", 0, IS_REAL(*label), sizeof *label, 0, &label},
        {"y", 0, IS_REAL(*y), sizeof *y, 0, &y},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 8, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[3], u ? (size_t)(n) : 0);
        at_least(&the_array[4], z ? (size_t)(n) : 0);
        at_least(&the_array[5], label ? (size_t)(n) : 0);
        at_least(&the_array[6], y ? (size_t)(n) : 0);
        at_least(&the_array[7], margin ? (size_t)(n) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, n, theta, x, u, z, work, label, margin, y));
    }
    return the_function.status;
}

smoe_status smoe_mixture_distance(size_t kp, const double *p, size_t kq, const double *q, double *work, double *variation, double *square, double *error)
{
    static watched the_function = {.name = "smoe_mixture_distance"};
    smoe_status (*real_one)(size_t kp, const double *p, size_t kq, const double *q, double *work, double *variation, double *square, double *error);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(kp, p, kq, q, work, variation, square, error);
    array_of the_array[] = {
        {"p", 1, IS_REAL(*p), sizeof *p, 0, &p},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"variation", 0, IS_REAL(*variation), sizeof *variation, 0, &variation},
        {"square", 0, IS_REAL(*square), sizeof *square, 0, &square},
        {"error", 0, IS_REAL(*error), sizeof *error, 0, &error},
    };
    const knob_of the_knob[] = {
        {"kp", A_SIZE, 0, &kp},
        {"kq", A_SIZE, 0, &kq},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], p ? (size_t)(4*kp) : 0);
        at_least(&the_array[1], q ? (size_t)(4*kq) : 0);
        at_least(&the_array[2], work ? (size_t)(5*(kp+kq)) : 0);
        at_least(&the_array[3], variation ? (size_t)(1) : 0);
        at_least(&the_array[4], square ? (size_t)(1) : 0);
        at_least(&the_array[5], error ? (size_t)(1 + 1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(kp, p, kq, q, work, variation, square, error));
    }
    return the_function.status;
}

smoe_status smoe_mix_normal_form(const smoe_mix_shape *shape, double *theta)
{
    static watched the_function = {.name = "smoe_mix_normal_form"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, double *theta);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, theta);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 0, IS_REAL(*theta), sizeof *theta, 0, &theta},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 1, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, theta));
    }
    return the_function.status;
}

smoe_status smoe_mix_atoms(const smoe_mix_shape *shape, const double *theta, double *atoms, double *beta0)
{
    static watched the_function = {.name = "smoe_mix_atoms"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, const double *theta, double *atoms, double *beta0);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, theta, atoms, beta0);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"beta0", 0, IS_REAL(*beta0), sizeof *beta0, 0, &beta0},
        {"atoms", 0, IS_REAL(*atoms), sizeof *atoms, 0, &atoms},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], beta0 ? (size_t)(shape->k) : 0);
        at_least(&the_array[2], atoms ? (size_t)(mix_all(shape)) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, theta, atoms, beta0));
    }
    return the_function.status;
}

smoe_status smoe_voronoi_cells(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth, double *work, size_t *cell, double *margin)
{
    static watched the_function = {.name = "smoe_voronoi_cells"};
    smoe_status (*real_one)(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth, double *work, size_t *cell, double *margin);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(k, kstar, m, atoms, truth, work, cell, margin);
    array_of the_array[] = {
        {"atoms", 1, IS_REAL(*atoms), sizeof *atoms, 0, &atoms},
        {"truth", 1, IS_REAL(*truth), sizeof *truth, 0, &truth},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"cell", 0, IS_REAL(*cell), sizeof *cell, 0, &cell},
        {"margin", 0, IS_REAL(*margin), sizeof *margin, 0, &margin},
    };
    const knob_of the_knob[] = {
        {"k", A_SIZE, 1, &k},
        {"kstar", A_SIZE, 1, &kstar},
        {"m", A_SIZE, 1, &m},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], atoms ? (size_t)(k*m) : 0);
        at_least(&the_array[1], truth ? (size_t)(kstar*m) : 0);
        at_least(&the_array[2], work ? (size_t)(m) : 0);
        at_least(&the_array[3], cell ? (size_t)(k) : 0);
        at_least(&the_array[4], margin ? (size_t)(k) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(k, kstar, m, atoms, truth, work, cell, margin));
    }
    return the_function.status;
}

smoe_status smoe_voronoi_exact(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth, const double *beta0, const double *beta0star, const size_t *cell, double *work, double *loss)
{
    static watched the_function = {.name = "smoe_voronoi_exact"};
    smoe_status (*real_one)(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth, const double *beta0, const double *beta0star, const size_t *cell, double *work, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(k, kstar, m, atoms, truth, beta0, beta0star, cell, work, loss);
    array_of the_array[] = {
        {"atoms", 1, IS_REAL(*atoms), sizeof *atoms, 0, &atoms},
        {"truth", 1, IS_REAL(*truth), sizeof *truth, 0, &truth},
        {"beta0", 1, IS_REAL(*beta0), sizeof *beta0, 0, &beta0},
        {"beta0star", 1, IS_REAL(*beta0star), sizeof *beta0star, 0, &beta0star},
        {"cell", 1, IS_REAL(*cell), sizeof *cell, 0, &cell},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"k", A_SIZE, 1, &k},
        {"kstar", A_SIZE, 1, &kstar},
        {"m", A_SIZE, 1, &m},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], atoms ? (size_t)(k*m) : 0);
        at_least(&the_array[1], truth ? (size_t)(kstar*m) : 0);
        at_least(&the_array[2], beta0 ? (size_t)(k) : 0);
        at_least(&the_array[3], beta0star ? (size_t)(kstar) : 0);
        at_least(&the_array[4], cell ? (size_t)(k) : 0);
        at_least(&the_array[5], work ? (size_t)(m) : 0);
        at_least(&the_array[6], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(k, kstar, m, atoms, truth, beta0, beta0star, cell, work, loss));
    }
    return the_function.status;
}

smoe_status smoe_voronoi_order(size_t M, double *order)
{
    static watched the_function = {.name = "smoe_voronoi_order"};
    smoe_status (*real_one)(size_t M, double *order);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(M, order);
    array_of the_array[] = {
        {"order", 0, IS_REAL(*order), sizeof *order, 0, &order},
    };
    const knob_of the_knob[] = {
        {"M", A_SIZE, 0, &M},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 1, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], order ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(M, order));
    }
    return the_function.status;
}

smoe_status smoe_voronoi_over(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth, const double *beta0, const double *beta0star, const size_t *cell, size_t G, const size_t *width, const double *power, const double *times, double *work, double *loss)
{
    static watched the_function = {.name = "smoe_voronoi_over"};
    smoe_status (*real_one)(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth, const double *beta0, const double *beta0star, const size_t *cell, size_t G, const size_t *width, const double *power, const double *times, double *work, double *loss);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(k, kstar, m, atoms, truth, beta0, beta0star, cell, G, width, power, times, work, loss);
    array_of the_array[] = {
        {"atoms", 1, IS_REAL(*atoms), sizeof *atoms, 0, &atoms},
        {"truth", 1, IS_REAL(*truth), sizeof *truth, 0, &truth},
        {"beta0", 1, IS_REAL(*beta0), sizeof *beta0, 0, &beta0},
        {"beta0star", 1, IS_REAL(*beta0star), sizeof *beta0star, 0, &beta0star},
        {"cell", 1, IS_REAL(*cell), sizeof *cell, 0, &cell},
        {"width", 1, IS_REAL(*width), sizeof *width, 0, &width},
        {"power", 1, IS_REAL(*power), sizeof *power, 0, &power},
        {"times", 1, IS_REAL(*times), sizeof *times, 0, &times},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"loss", 0, IS_REAL(*loss), sizeof *loss, 0, &loss},
    };
    const knob_of the_knob[] = {
        {"k", A_SIZE, 1, &k},
        {"kstar", A_SIZE, 1, &kstar},
        {"m", A_SIZE, 1, &m},
        {"G", A_SIZE, 1, &G},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 10, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], atoms ? (size_t)(k*m) : 0);
        at_least(&the_array[1], truth ? (size_t)(kstar*m) : 0);
        at_least(&the_array[2], beta0 ? (size_t)(k) : 0);
        at_least(&the_array[3], beta0star ? (size_t)(kstar) : 0);
        at_least(&the_array[4], cell ? (size_t)(k) : 0);
        at_least(&the_array[5], width ? (size_t)(G) : 0);
        at_least(&the_array[6], power ? (size_t)(G) : 0);
        at_least(&the_array[7], times ? (size_t)(G) : 0);
        at_least(&the_array[8], work ? (size_t)(m) : 0);
        at_least(&the_array[9], loss ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(k, kstar, m, atoms, truth, beta0, beta0star, cell, G, width, power, times, work, loss));
    }
    return the_function.status;
}

smoe_status smoe_mix_responsibilities(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, double *work, double *q, double *loglik)
{
    static watched the_function = {.name = "smoe_mix_responsibilities"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, double *work, double *q, double *loglik);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, n, theta, x, y, work, q, loglik);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"q", 0, IS_REAL(*q), sizeof *q, 0, &q},
        {"loglik", 0, IS_REAL(*loglik), sizeof *loglik, 0, &loglik},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[3], y ? (size_t)(n) : 0);
        at_least(&the_array[4], q ? (size_t)(n*shape->k) : 0);
        at_least(&the_array[5], loglik ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, n, theta, x, y, work, q, loglik));
    }
    return the_function.status;
}

smoe_status smoe_mix_complete_loglik(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, const double *q, double *work, double *Q)
{
    static watched the_function = {.name = "smoe_mix_complete_loglik"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, const double *q, double *work, double *Q);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, n, theta, x, y, q, work, Q);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"Q", 0, IS_REAL(*Q), sizeof *Q, 0, &Q},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[3], y ? (size_t)(n) : 0);
        at_least(&the_array[4], q ? (size_t)(n*shape->k) : 0);
        at_least(&the_array[5], Q ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, n, theta, x, y, q, work, Q));
    }
    return the_function.status;
}

smoe_status smoe_mix_m_step(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, const double *q, double least, double *work, double *next)
{
    static watched the_function = {.name = "smoe_mix_m_step"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, const double *q, double least, double *work, double *next);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, n, theta, x, y, q, least, work, next);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"next", 0, IS_REAL(*next), sizeof *next, 0, &next},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"n", A_SIZE, 0, &n},
        {"least", A_NUMBER, 0, &least},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[3], y ? (size_t)(n) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)+mix_all(shape)+shape->k*(shape->d+1)*(shape->d+3)) : 0);
        at_least(&the_array[4], q ? (size_t)(n*shape->k) : 0);
        at_least(&the_array[5], next ? (size_t)(mix_all(shape)) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, n, theta, x, y, q, least, work, next));
    }
    return the_function.status;
}

smoe_status smoe_mix_em_direction(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, const double *q, double *work, double *direction)
{
    static watched the_function = {.name = "smoe_mix_em_direction"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, const double *q, double *work, double *direction);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, n, theta, x, y, q, work, direction);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"direction", 0, IS_REAL(*direction), sizeof *direction, 0, &direction},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 6, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[3], y ? (size_t)(n) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)+mix_all(shape)+shape->k*(shape->d+1)*(shape->d+3)) : 0);
        at_least(&the_array[4], q ? (size_t)(n*shape->k) : 0);
        at_least(&the_array[5], direction ? (size_t)(shape->k*(shape->d+1)) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, n, theta, x, y, q, work, direction));
    }
    return the_function.status;
}

smoe_status smoe_mix_em_variances(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, const double *q, double *nu)
{
    static watched the_function = {.name = "smoe_mix_em_variances"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, const double *q, double *nu);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, n, theta, x, y, q, nu);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"q", 1, IS_REAL(*q), sizeof *q, 0, &q},
        {"nu", 0, IS_REAL(*nu), sizeof *nu, 0, &nu},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], x ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[2], y ? (size_t)(n) : 0);
        at_least(&the_array[3], q ? (size_t)(n*shape->k) : 0);
        at_least(&the_array[4], nu ? (size_t)(shape->k) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, n, theta, x, y, q, nu));
    }
    return the_function.status;
}

smoe_status smoe_mix_em_step(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, double least, double *work, double *q, double *next, double *loglik)
{
    static watched the_function = {.name = "smoe_mix_em_step"};
    smoe_status (*real_one)(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y, double least, double *work, double *q, double *next, double *loglik);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(shape, n, theta, x, y, least, work, q, next, loglik);
    smoe_mix_shape shape_ = *shape;
    shape = &shape_;
    array_of the_array[] = {
        {"theta", 1, IS_REAL(*theta), sizeof *theta, 0, &theta},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"q", 0, IS_REAL(*q), sizeof *q, 0, &q},
        {"next", 0, IS_REAL(*next), sizeof *next, 0, &next},
        {"loglik", 0, IS_REAL(*loglik), sizeof *loglik, 0, &loglik},
    };
    const knob_of the_knob[] = {
        {"shape->gate", AN_ENUMERATOR, 0, &shape_.gate},
        {"shape->expert", AN_ENUMERATOR, 0, &shape_.expert},
        {"shape->k", A_SIZE, 0, &shape_.k},
        {"shape->d", A_SIZE, 0, &shape_.d},
        {"shape->H", A_SIZE, 0, &shape_.H},
        {"shape->topk", A_SIZE, 0, &shape_.topk},
        {"n", A_SIZE, 0, &n},
        {"least", A_NUMBER, 0, &least},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 7, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], theta ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)) : 0);
        at_least(&the_array[2], x ? (size_t)(n*shape->d) : 0);
        at_least(&the_array[3], y ? (size_t)(n) : 0);
        at_least(&the_array[1], work ? (size_t)(mix_w(shape)+mix_all(shape)+shape->k*(shape->d+1)*(shape->d+3)) : 0);
        at_least(&the_array[4], q ? (size_t)(n*shape->k) : 0);
        at_least(&the_array[5], next ? (size_t)(mix_all(shape)) : 0);
        at_least(&the_array[6], loglik ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(shape, n, theta, x, y, least, work, q, next, loglik));
    }
    return the_function.status;
}

smoe_status smoe_oracle(size_t n, size_t k, size_t d, const double *x, const double *y, const size_t *label, double *work, double *eta)
{
    static watched the_function = {.name = "smoe_oracle"};
    smoe_status (*real_one)(size_t n, size_t k, size_t d, const double *x, const double *y, const size_t *label, double *work, double *eta);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, k, d, x, y, label, work, eta);
    array_of the_array[] = {
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"y", 1, IS_REAL(*y), sizeof *y, 0, &y},
        {"label", 1, IS_REAL(*label), sizeof *label, 0, &label},
        {"work", 0, IS_REAL(*work), sizeof *work, 0, &work},
        {"eta", 0, IS_REAL(*eta), sizeof *eta, 0, &eta},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 1, &n},
        {"k", A_SIZE, 1, &k},
        {"d", A_SIZE, 1, &d},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 5, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], x ? (size_t)(n*d) : 0);
        at_least(&the_array[1], y ? (size_t)(n) : 0);
        at_least(&the_array[2], label ? (size_t)(n) : 0);
        at_least(&the_array[3], work ? (size_t)((d+1)*(d+3)) : 0);
        at_least(&the_array[4], eta ? (size_t)(k*(d+2)) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, k, d, x, y, label, work, eta));
    }
    return the_function.status;
}

smoe_status smoe_identifiability_matrix(smoe_mix_expert expert, size_t k, size_t d, size_t n, const double *w, const double *c, const double *x, double *M)
{
    static watched the_function = {.name = "smoe_identifiability_matrix"};
    smoe_status (*real_one)(smoe_mix_expert expert, size_t k, size_t d, size_t n, const double *w, const double *c, const double *x, double *M);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(expert, k, d, n, w, c, x, M);
    array_of the_array[] = {
        {"w", 1, IS_REAL(*w), sizeof *w, 0, &w},
        {"c", 1, IS_REAL(*c), sizeof *c, 0, &c},
        {"x", 1, IS_REAL(*x), sizeof *x, 0, &x},
        {"M", 0, IS_REAL(*M), sizeof *M, 0, &M},
    };
    const knob_of the_knob[] = {
        {"expert", AN_ENUMERATOR, 0, &expert},
        {"k", A_SIZE, 1, &k},
        {"d", A_SIZE, 1, &d},
        {"n", A_SIZE, 0, &n},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 4, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], w ? (size_t)(k*d) : 0);
        at_least(&the_array[1], c ? (size_t)(k) : 0);
        at_least(&the_array[2], x ? (size_t)(n*d) : 0);
        at_least(&the_array[3], M ? (size_t)(n*k*(1+(d+1)+(d+1)*(d+2)/2)) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(expert, k, d, n, w, c, x, M));
    }
    return the_function.status;
}

smoe_status smoe_singular_values(size_t n, size_t m, double *M, double *s, double *error)
{
    static watched the_function = {.name = "smoe_singular_values"};
    smoe_status (*real_one)(size_t n, size_t m, double *M, double *s, double *error);
    find_next(&the_function, &real_one);
    if (!is_watched(&the_function)) return real_one(n, m, M, s, error);
    array_of the_array[] = {
        {"M", 0, IS_REAL(*M), sizeof *M, 0, &M},
        {"s", 0, IS_REAL(*s), sizeof *s, 0, &s},
        {"error", 0, IS_REAL(*error), sizeof *error, 0, &error},
    };
    const knob_of the_knob[] = {
        {"n", A_SIZE, 1, &n},
        {"m", A_SIZE, 1, &m},
        {NULL, A_SIZE, 0, NULL},
    };
    watch_start(&the_function, 3, the_array, the_knob);
    while (watch_more(&the_function)) {
        at_least(&the_array[0], M ? (size_t)(n*m) : 0);
        at_least(&the_array[1], s ? (size_t)(m) : 0);
        at_least(&the_array[2], error ? (size_t)(1) : 0);
        watch_place(&the_function);
        watch_take(&the_function, real_one(n, m, M, s, error));
    }
    return the_function.status;
}

static const char *const watched_names[] = {
    "smoe_softmax",
    "smoe_softmax_vjp",
    "smoe_logsumexp",
    "smoe_logsumexp_vjp",
    "smoe_norm",
    "smoe_norm_vjp",
    "smoe_topk",
    "smoe_topk_vjp",
    "smoe_expert_mlp",
    "smoe_expert_mlp_vjp",
    "smoe_expert_mlp_vjp_acc",
    "smoe_expert_relu",
    "smoe_expert_relu_vjp",
    "smoe_expert_gelu",
    "smoe_expert_gelu_vjp",
    "smoe_expert_gelu_tanh",
    "smoe_expert_gelu_tanh_vjp",
    "smoe_expert_swiglu",
    "smoe_expert_swiglu_vjp",
    "smoe_expert_keyvalue",
    "smoe_expert_keyvalue_vjp",
    "smoe_gate_linear",
    "smoe_gate_linear_vjp",
    "smoe_weights_topk_softmax",
    "smoe_weights_topk_softmax_vjp",
    "smoe_weights_softmax_topk",
    "smoe_weights_softmax_topk_vjp",
    "smoe_weights_softmax_topk_renorm",
    "smoe_weights_softmax_topk_renorm_vjp",
    "smoe_gate_weights",
    "smoe_gate_weights_vjp",
    "smoe_jitter",
    "smoe_gate_jitter",
    "smoe_gate_jitter_vjp",
    "smoe_noisy_scores",
    "smoe_noisy_scores_vjp",
    "smoe_gate_noisy",
    "smoe_gate_noisy_vjp",
    "smoe_weights_sigmoid",
    "smoe_weights_sigmoid_vjp",
    "smoe_weights_sigmoid_norm",
    "smoe_weights_sigmoid_norm_vjp",
    "smoe_gate_sigmoid",
    "smoe_gate_sigmoid_vjp",
    "smoe_gate_frozen",
    "smoe_gate_frozen_vjp",
    "smoe_dropout_schedule",
    "smoe_gshard_capacity",
    "smoe_gate_gshard",
    "smoe_gate_gshard_vjp",
    "smoe_gate_hyper",
    "smoe_gate_hyper_vjp",
    "smoe_unit",
    "smoe_unit_vjp",
    "smoe_xmoe_softmax",
    "smoe_xmoe_softmax_vjp",
    "smoe_xmoe_sigmoid",
    "smoe_xmoe_sigmoid_vjp",
    "smoe_damped",
    "smoe_damped_vjp",
    "smoe_stable_choice",
    "smoe_stable_choice_vjp",
    "smoe_cross_entropy",
    "smoe_cross_entropy_vjp",
    "smoe_weights_scaled_renorm",
    "smoe_weights_scaled_renorm_vjp",
    "smoe_weights_scaled",
    "smoe_weights_scaled_vjp",
    "smoe_gate_entropy_token",
    "smoe_gate_entropy",
    "smoe_dispatch",
    "smoe_experts",
    "smoe_experts_vjp",
    "smoe_combine",
    "smoe_combine_vjp",
    "smoe_layer",
    "smoe_layer_vjp",
    "smoe_capacity",
    "smoe_queue",
    "smoe_slots_first",
    "smoe_slots_largest",
    "smoe_capacity_gate",
    "smoe_capacity_gate_vjp",
    "smoe_buffer_dispatch",
    "smoe_buffer_dispatch_vjp",
    "smoe_buffer_combine",
    "smoe_buffer_combine_vjp",
    "smoe_shared_layer",
    "smoe_shared_layer_vjp",
    "smoe_max_violation",
    "smoe_collapse",
    "smoe_fluctuation",
    "smoe_change_sets",
    "smoe_change_jaccard",
    "smoe_expert_load",
    "smoe_expert_load_first",
    "smoe_load_fraction",
    "smoe_mean_probability",
    "smoe_mean_probability_vjp",
    "smoe_switch_loss",
    "smoe_switch_loss_vjp",
    "smoe_switch_loss_sequences",
    "smoe_switch_loss_sequences_vjp",
    "smoe_balance_loss",
    "smoe_balance_loss_vjp",
    "smoe_z_loss",
    "smoe_z_loss_vjp",
    "smoe_real_tokens",
    "smoe_expert_load_masked",
    "smoe_mean_probability_masked",
    "smoe_balance_groups",
    "smoe_balance_groups_vjp",
    "smoe_mean_softmax",
    "smoe_mean_softmax_vjp",
    "smoe_cv_squared",
    "smoe_cv_squared_unbiased",
    "smoe_cv_squared_vjp",
    "smoe_cv_squared_unbiased_vjp",
    "smoe_importance",
    "smoe_importance_vjp",
    "smoe_load_token",
    "smoe_load_token_vjp",
    "smoe_noisy_load",
    "smoe_noisy_load_vjp",
    "smoe_noisy_load_detached_vjp",
    "smoe_gshard_loss",
    "smoe_gshard_loss_vjp",
    "smoe_temperature",
    "smoe_temperature_vjp",
    "smoe_excess",
    "smoe_stable_loss",
    "smoe_stable_loss_vjp",
    "smoe_negative_entropy",
    "smoe_negative_entropy_vjp",
    "smoe_affinity_share",
    "smoe_affinity_share_vjp",
    "smoe_bias_update",
    "smoe_accumulate_load",
    "smoe_response_softplus",
    "smoe_response_softplus_vjp",
    "smoe_response_norm",
    "smoe_response_norm_vjp",
    "smoe_response_relu",
    "smoe_response_relu_vjp",
    "smoe_response_sigmoid",
    "smoe_response_sigmoid_vjp",
    "smoe_response_silu",
    "smoe_response_silu_vjp",
    "smoe_compete_weights",
    "smoe_compete_weights_vjp",
    "smoe_compete_weights_v1",
    "smoe_compete_weights_v1_vjp",
    "smoe_compete_weights_sigmoid",
    "smoe_compete_weights_sigmoid_vjp",
    "smoe_compete_combine",
    "smoe_compete_combine_vjp",
    "smoe_route",
    "smoe_route_v1",
    "smoe_route_vjp",
    "smoe_route_v1_vjp",
    "smoe_distill_loss",
    "smoe_distill_loss_vjp",
    "smoe_distill",
    "smoe_distill_vjp",
    "smoe_distill_target_vjp",
    "smoe_distill_winners_loss",
    "smoe_distill_winners_vjp",
    "smoe_distill_winners_target_vjp",
    "smoe_diversity_pairs",
    "smoe_diversity_square",
    "smoe_diversity_pairs_vjp",
    "smoe_diversity_square_vjp",
    "smoe_compete_step",
    "smoe_compete_step_vjp",
    "smoe_router_step",
    "smoe_router_step_vjp",
    "smoe_target_masked",
    "smoe_target_masked_vjp",
    "smoe_distill_v1",
    "smoe_distill_v1_vjp",
    "smoe_distill_v1_target_vjp",
    "smoe_log_ratio",
    "smoe_distill_kl",
    "smoe_distill_kl_vjp",
    "smoe_distill_kl_target_vjp",
    "smoe_distill_kl_clamped",
    "smoe_distill_kl_clamped_vjp",
    "smoe_distill_kl_clamped_target_vjp",
    "smoe_compete_fractions",
    "smoe_compete_balance",
    "smoe_compete_balance_vjp",
    "smoe_mix_scores",
    "smoe_mix_scores_vjp",
    "smoe_compete_lambda",
    "smoe_schedule_layer_mended",
    "smoe_schedule_layer_published",
    "smoe_schedule",
    "smoe_task_loss",
    "smoe_task_loss_vjp",
    "smoe_train_compete",
    "smoe_train_router",
    "smoe_gram_linear",
    "smoe_gram_linear_vjp",
    "smoe_squared_distances",
    "smoe_squared_distances_vjp",
    "smoe_squared_distances_naive",
    "smoe_squared_distances_vjp_naive",
    "smoe_bandwidth_absolute",
    "smoe_bandwidth_median",
    "smoe_gram_rbf",
    "smoe_gram_rbf_less_one",
    "smoe_gram_rbf_to_u_centre",
    "smoe_gram_rbf_vjp",
    "smoe_centre_features",
    "smoe_centre",
    "smoe_centre_definition",
    "smoe_hsic_biased",
    "smoe_hsic_biased_vjp",
    "smoe_u_centre",
    "smoe_hsic_unbiased",
    "smoe_hsic_debiased",
    "smoe_hsic_unbiased_vjp",
    "smoe_cka_ratio",
    "smoe_cka_ratio_vjp",
    "smoe_hsic_moments",
    "smoe_cka_of_batches",
    "smoe_cosine",
    "smoe_cosine_vjp",
    "smoe_cosine_absolute",
    "smoe_cosine_absolute_vjp",
    "smoe_head_mlp",
    "smoe_head_linear",
    "smoe_head_linear_vjp",
    "smoe_head_linear_vjp_acc",
    "smoe_shared_tokens",
    "smoe_pair_counters",
    "smoe_represent",
    "smoe_router",
    "smoe_router_vjp",
    "smoe_mix_mean",
    "smoe_mix_mean_vjp",
    "smoe_mix_at",
    "smoe_mix_weights",
    "smoe_mix_log_density",
    "smoe_mix_log_density_vjp",
    "smoe_mix_loglik",
    "smoe_mix_loglik_vjp",
    "smoe_mix_loglik_score",
    "smoe_mix_hvp",
    "smoe_mix_sample",
    "smoe_mixture_distance",
    "smoe_mix_normal_form",
    "smoe_mix_atoms",
    "smoe_voronoi_cells",
    "smoe_voronoi_exact",
    "smoe_voronoi_order",
    "smoe_voronoi_over",
    "smoe_mix_responsibilities",
    "smoe_mix_complete_loglik",
    "smoe_mix_m_step",
    "smoe_mix_em_direction",
    "smoe_mix_em_variances",
    "smoe_mix_em_step",
    "smoe_oracle",
    "smoe_identifiability_matrix",
    "smoe_singular_values",
    NULL,
};
