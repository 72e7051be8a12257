/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The run of all rows: harmless ones first, those which only an enemy would try at the end.
 *
 * Each row has connections of its own, and after each the back-end must answer on another one.
 * When it does not, the row has failed, whatever it said, and those behind it are not run.
 */
#include "config.h"

#include <stdio.h>

#include "tools/probe.h"
#include "util.h"

static const struct row *const tables[] = {
	rows_offer, rows_work, rows_rings, rows_refuse, rows_hostile,
};

const char *row_result_name(enum row_result result)
{
	static const char *const names[] = {
		[ROW_PASS] = "pass", [ROW_FAIL] = "fail", [ROW_NOT_OFFERED] = "not offered",
		[ROW_NOT_RUN] = "not run",
	};

	return names[result];
}

static enum row_result row_try(struct world *w, const struct row *row)
{
	const struct probe_facts *f = &w->probe->facts;
	int err;

	if ((row->features & ~f->features) || (row->protocol & ~f->protocol))
		return ROW_NOT_OFFERED;
	if (row->requests && (!f->type || !load_find(f->type->name))) {
		load_wrong(&w->l, "no requests are known for this device type; see --type");
		return ROW_NOT_RUN;
	}
	err = row->fn(w);
	if (err == ROW_SKIP)
		return *w->l.why ? ROW_NOT_RUN : ROW_NOT_OFFERED;
	return err ? ROW_FAIL : ROW_PASS;
}

/* One row, and whether the back-end survived it; the reason goes to why. */
static enum row_result row_run(const struct probe *p, const struct row *row, bool *alive,
			       char why[LOAD_WHY_SIZE])
{
	struct world w = { .probe = p, .l.fe = { .fd = -1, .backend_fd = -1 } };
	enum row_result result = row_try(&w, row);

	snprintf(why, LOAD_WHY_SIZE, "%s", result == ROW_PASS ? "" : load_why(&w.l));
	if ((result == ROW_PASS || result == ROW_FAIL) && world_alive(&w)) {
		/* The first reason is the better one. */
		if (result == ROW_PASS)
			snprintf(why, LOAD_WHY_SIZE, "afterwards it does not answer: %s",
				 load_why(&w.l));
		result = ROW_FAIL;
		*alive = false;
	}
	world_close(&w);
	return result;
}

struct row_count rows_run(const struct probe *p,
			  void (*tell)(void *arg, const struct row *row, enum row_result result,
				       const char *why), void *arg)
{
	struct row_count count = { { 0 } };
	char why[LOAD_WHY_SIZE];
	const struct row *row;
	bool alive = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		for (row = tables[i]; row->name; row++) {
			enum row_result result = ROW_NOT_RUN;

			snprintf(why, sizeof(why), "the back-end does not answer any more");
			if (alive)
				result = row_run(p, row, &alive, why);
			count.num[result]++;
			tell(arg, row, result, why);
		}
	return count;
}
