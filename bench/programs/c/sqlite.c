/* run(n): fills and queries a database in memory: n rows, an index, joins and sums. */
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "sqlite3.h"

/* A system without files: a database in memory requests only the time and random numbers from it. */
static int no_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
    (void)vfs, (void)name, (void)file, (void)flags, (void)out;
    return SQLITE_CANTOPEN;
}

static int randomness(sqlite3_vfs *vfs, int size, char *out) {
    (void)vfs;
    memset(out, 7, size);
    return size;
}

static int now(sqlite3_vfs *vfs, double *out) {
    (void)vfs;
    *out = 2460000.5;
    return SQLITE_OK;
}

static sqlite3_vfs vfs = {
    .iVersion = 1, .mxPathname = 64, .zName = "none", .xOpen = no_open, .xRandomness = randomness, .xCurrentTime = now,
};

int sqlite3_os_init(void) { return sqlite3_vfs_register(&vfs, 1); }
int sqlite3_os_end(void) { return SQLITE_OK; }

static int64_t total;

static int add(void *none, int count, char **values, char **names) {
    (void)none, (void)count, (void)names;
    total += values[0] ? atoll(values[0]) : 1;
    return 0;
}

EXPORT("run") int32_t run(int32_t n) {
    sqlite3 *db;
    sqlite3_stmt *insert;
    total = 0;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) return -1;
    if (sqlite3_exec(db, "create table t(id integer primary key, k integer, name text); begin", 0, 0, 0)) return -2;
    if (sqlite3_prepare_v2(db, "insert into t(k, name) values (?, 'row ' || ?)", -1, &insert, 0)) return -3;
    input_state = 1;
    for (int32_t i = 0; i < n; i++) {
        sqlite3_bind_int(insert, 1, (int)(input_next() % 1000));
        sqlite3_bind_int(insert, 2, i);
        if (sqlite3_step(insert) != SQLITE_DONE) return -4;
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    const char *queries =
        "commit; create index t_k on t(k);"
        "select sum(k) from t where name like '%7%';"
        "select count(*) from t a join t b on a.k = b.k where a.id < 100;"
        "select sum(c) from (select k, count(*) as c from t group by k order by c desc limit 50);";
    if (sqlite3_exec(db, queries, add, 0, 0) != SQLITE_OK) return -5;
    sqlite3_close(db);
    return (int32_t)total;
}
