/* The threads that run programs.
 *
 * One pool a process, of a size that is given once. Between programs a worker spins a little (the next step of a
 * training loop comes soon), then sleeps. Within a program it spins at barriers: steps take microseconds. A spinning
 * thread yields now and then, so that more threads than cores are slow but never stuck.
 *
 * After fork the child has no workers; it makes its own when it first runs a program.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "graphdsl.h"

enum { MOST_THREADS = 256, SPINS_BEFORE_SLEEP = 2000, SPINS_BEFORE_YIELD = 4000 };

static struct {
    i64 threads;             /* that run a program, the caller included */
    i64 started;             /* workers there are */
    pthread_mutex_t turn;    /* one program at a time */
    pthread_mutex_t asleep;  /* guards sleeping and waking */
    pthread_cond_t wake;
    atomic_llong generation; /* of programs: workers wait for it to grow */
    atomic_llong sleepers;
    atomic_llong finished;
    atomic_llong arrived, passed; /* at the barrier */
    const program *running;
    char *scratch, *allocated; /* scratch is aligned, allocated is what malloc gave */
    i64 own_bytes, shared_bytes;
} pool = {.threads = 1,
          .turn = PTHREAD_MUTEX_INITIALIZER,
          .asleep = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER};

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static inline void spin_until_changed(atomic_llong *watched, long long old) {
    for (int spins = 1; atomic_load_explicit(watched, memory_order_acquire) == old; spins++) {
        relax();
        if (spins % SPINS_BEFORE_YIELD == 0) sched_yield();
    }
}

static void barrier(i64 threads) {
    long long seen = atomic_load_explicit(&pool.passed, memory_order_relaxed);
    if (atomic_fetch_add(&pool.arrived, 1) == threads - 1) {
        atomic_store_explicit(&pool.arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&pool.passed, seen + 1, memory_order_release);
    } else {
        spin_until_changed(&pool.passed, seen);
    }
}

static context place_of(i64 thread, i64 threads) {
    char *own = pool.scratch + pool.shared_bytes + thread * pool.own_bytes;
    return (context){thread, threads, own, pool.scratch};
}

static void run_share(const program *p, i64 thread, i64 threads) {
    context at = place_of(thread, threads), alone = place_of(0, 1);
    for (i64 i = 0; i < p->count; i++) {
        const step *s = p->steps + i;
        if (!s->serial)
            s->run(s->task, &at);
        else if (thread == 0)
            s->run(s->task, &alone);
        if (i + 1 < p->count && !(s->serial && s[1].serial)) barrier(threads);
    }
}

static void wait_for_work(long long seen) {
    for (int spins = 0; spins < SPINS_BEFORE_SLEEP; spins++) {
        if (atomic_load_explicit(&pool.generation, memory_order_acquire) != seen) return;
        relax();
    }
    pthread_mutex_lock(&pool.asleep);
    atomic_fetch_add(&pool.sleepers, 1);
    while (atomic_load(&pool.generation) == seen) pthread_cond_wait(&pool.wake, &pool.asleep);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.asleep);
}

typedef struct {
    i64 thread;
    long long seen;
} birth;

static void *worker(void *argument) {
    birth own = *(birth *)argument;
    free(argument);
    for (;;) {
        wait_for_work(own.seen);
        own.seen = atomic_load(&pool.generation);
        run_share(pool.running, own.thread, pool.threads);
        atomic_fetch_add(&pool.finished, 1);
    }
    return 0;
}

#ifndef _WIN32
/* In the child of a fork there are no workers, and locks may be held by threads that are gone. */
static void begin_anew(void) {
    pool.started = 0;
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.arrived, 0);
    pthread_mutex_init(&pool.turn, 0);
    pthread_mutex_init(&pool.asleep, 0);
    pthread_cond_init(&pool.wake, 0);
}
#endif

static void start_workers(void) {
#ifndef _WIN32
    static int watching = 0;
    if (!watching) watching = !pthread_atfork(0, 0, begin_anew);
#endif
    while (pool.started < pool.threads - 1) {
        birth *own = malloc(sizeof *own);
        *own = (birth){pool.started + 1, atomic_load(&pool.generation)};
        pthread_t thread;
        if (pthread_create(&thread, 0, worker, own)) {
            free(own);
            pool.threads = pool.started + 1;
            return;
        }
        pthread_detach(thread);
        pool.started++;
    }
}

static int find_room(const program *p) {
    i64 own = most((p->own_bytes + 63) / 64 * 64, pool.own_bytes);
    i64 shared = most((p->shared_bytes + 63) / 64 * 64, pool.shared_bytes);
    if (pool.scratch && own == pool.own_bytes && shared == pool.shared_bytes) return 1;
    free(pool.allocated);
    pool.scratch = pool.allocated = malloc((size_t)(shared + own * pool.threads + 64));
    if (!pool.scratch) return 0;
    pool.scratch += -(uintptr_t)pool.scratch % 64;
    pool.own_bytes = own;
    pool.shared_bytes = shared;
    return 1;
}

static int all_serial(const program *p) {
    for (i64 i = 0; i < p->count; i++)
        if (!p->steps[i].serial) return 0;
    return 1;
}

/* How many threads run programs from now on; they are made when first needed. At most once a process, before a run. */
EXPORT void pool_size(i64 threads) { pool.threads = least(most(threads, 1), MOST_THREADS); }

/* Runs a program to its end. 0: done; 1: no memory for scratch, nothing was run. */
EXPORT int pool_run(const program *p) {
    pthread_mutex_lock(&pool.turn);
    int room = find_room(p);
    if (room && (pool.threads == 1 || all_serial(p))) {
        run_share(p, 0, 1);
    } else if (room) {
        start_workers();
        pool.running = p;
        atomic_store(&pool.finished, 0);
        atomic_fetch_add(&pool.generation, 1);
        if (atomic_load(&pool.sleepers)) {
            pthread_mutex_lock(&pool.asleep);
            pthread_cond_broadcast(&pool.wake);
            pthread_mutex_unlock(&pool.asleep);
        }
        run_share(p, 0, pool.threads);
        for (int spins = 1; atomic_load_explicit(&pool.finished, memory_order_acquire) != pool.threads - 1; spins++) {
            relax();
            if (spins % SPINS_BEFORE_YIELD == 0) sched_yield();
        }
    }
    pthread_mutex_unlock(&pool.turn);
    return !room;
}

/* Runs a program step by step and adds the seconds that each took. */
EXPORT int pool_run_timed(const program *p, double *seconds) {
    for (i64 i = 0; i < p->count; i++) {
        struct timespec start, end;
        program one = {p->steps + i, 1, p->own_bytes, p->shared_bytes};
        clock_gettime(CLOCK_MONOTONIC, &start);
        if (pool_run(&one)) return 1;
        clock_gettime(CLOCK_MONOTONIC, &end);
        seconds[i] += (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    }
    return 0;
}
