/* The fits of `smoeref rates` spread over the processes of an MPI job (see rates.h).
 *
 * Every process makes the same plan.  Process 0 has the file; it tells the others which fits are left, takes its share
 * of them as they do, and appends what they send.  Shares are dealt costliest first, to and fro, so that they weigh
 * about the same.  Nothing about a fit depends on where it is run.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cmd.h"
#include "rates.h"

#ifdef HAVE_MPI
#include <stdlib.h>
#include <string.h>

#include <mpi.h>

enum { FIT = 1 }; /* the tag of a result */

typedef struct {
    size_t number;
    rates_fit fit;
} message;

const char *rates_mpi_start(bool *first)
{
    int rank = 0;
    if (MPI_Init(NULL, NULL) != MPI_SUCCESS || MPI_Comm_rank(MPI_COMM_WORLD, &rank) != MPI_SUCCESS)
        return "MPI does not start";
    *first = rank == 0;
    return NULL;
}

int rates_mpi_agree(int status)
{
    MPI_Bcast(&status, 1, MPI_INT, 0, MPI_COMM_WORLD);
    return status;
}

void rates_mpi_end(void) { MPI_Finalize(); }

static void give_up(const char *why)
{
    cli_input("%s", why);
    MPI_Abort(MPI_COMM_WORLD, STATUS_INPUT);
}

/* What process 0 does with a result, its own or another's. */
static void keep(const rates_plan *plan, const rates_store *store, rates_fit *results, const message *m)
{
    char err[JOB_MESSAGE];
    results[m->number] = m->fit;
    if (store->path && rates_store_append(store, plan, m->number, &m->fit, err, sizeof err) != 0) give_up(err);
}

/* Takes one result from another process; if there is none yet, waits for it or returns false. */
static bool collect(const rates_plan *plan, const rates_store *store, rates_fit *results, bool wait)
{
    message m;
    int there = 1;
    if (!wait) MPI_Iprobe(MPI_ANY_SOURCE, FIT, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
    if (!there) return false;
    MPI_Recv(&m, (int)sizeof m, MPI_BYTE, MPI_ANY_SOURCE, FIT, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    keep(plan, store, results, &m);
    return true;
}

/* Whose piece j is: 0, 1, ... ranks - 1, ranks - 1, ... 1, 0, 0, 1, ... */
static size_t owner(size_t j, size_t ranks)
{
    const size_t place = j % (2 * ranks);
    return place < ranks ? place : 2 * ranks - 1 - place;
}

/* The fits that are left, as process 0 knows them, to all. */
static size_t *share_pending(const size_t *pending, size_t *count)
{
    unsigned long long n = *count;
    MPI_Bcast(&n, 1, MPI_UNSIGNED_LONG_LONG, 0, MPI_COMM_WORLD);
    size_t *mine = calloc((size_t)n + 1, sizeof *mine);
    if (!mine) give_up("out of memory");
    if (pending) memcpy(mine, pending, (size_t)n * sizeof *mine);
    *count = (size_t)n;
    MPI_Bcast(mine, (int)((size_t)n * sizeof *mine), MPI_BYTE, 0, MPI_COMM_WORLD);
    return mine;
}

void rates_mpi_run(const rates_plan *plan, const rates_store *store, const size_t *pending, size_t count,
                   rates_fit *results)
{
    int rank = 0, ranks = 1;
    size_t collected = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    size_t *all = share_pending(rank == 0 ? pending : NULL, &count);
    for (size_t j = 0; j < count; j++) {
        message m;
        if (owner(j, (size_t)ranks) != (size_t)rank) continue;
        memset(&m, 0, sizeof m); /* its padding is sent too */
        m.number = all[j];
        rates_run(plan, all[j], &m.fit);
        if (rank > 0) {
            MPI_Send(&m, (int)sizeof m, MPI_BYTE, 0, FIT, MPI_COMM_WORLD);
            continue;
        }
        keep(plan, store, results, &m);
        for (collected++; collect(plan, store, results, false);) collected++;
    }
    for (; rank == 0 && collected < count; collected++) collect(plan, store, results, true);
    free(all);
}
#else
const char *rates_mpi_start(bool *first)
{
    *first = true;
    return "this smoeref was built without MPI: ./configure --with-mpi";
}

int rates_mpi_agree(int status) { return status; }

void rates_mpi_end(void) {}

void rates_mpi_run(const rates_plan *plan, const rates_store *store, const size_t *pending, size_t count,
                   rates_fit *results)
{
    (void)store;
    for (size_t j = 0; j < count; j++) rates_run(plan, pending[j], &results[pending[j]]);
}
#endif
