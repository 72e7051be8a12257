/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of vhost-probe share, grouped by the file which has it. */
#ifndef TOOLS_PROBE_H
#define TOOLS_PROBE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/load.h"
#include "tools/names.h"

/*
 * probe_offer.c: what a back-end offers
 */

#define PROBE_MESSAGES_MAX 48u

/* What came of one message. */
struct probe_message {
	unsigned int request;
	const char *answer;		/* in words */
};

struct probe_facts {
	uint64_t features, protocol;
	uint64_t queue_num, mem_slots;	/* 0: not told */
	uint8_t config[VU_CONFIG_MAX];
	uint32_t config_len;		/* 0: none */
	int config_err;			/* why there is none, if it should be */
	const struct name_type *type;	/* NULL: unknown */
	bool guessed;			/* the type, not told by the user */
	struct probe_message messages[PROBE_MESSAGES_MAX];
	unsigned int num_messages;
	bool silent;			/* it does not answer any more */
};

struct probe {
	const char *path;		/* of the socket */
	int timeout_ms;			/* for each answer */
	struct probe_facts facts;
};

/* All connections come from here: the first try may wait for another to be noticed as gone. */
int probe_connect(const struct probe *p, struct load *l);

/* Fill in the facts; or a negative errno, with the reason in why. */
int probe_offer(struct probe *p, char why[LOAD_WHY_SIZE]);

/* The same, which messages are answered. */
void probe_messages(struct probe *p);

/*
 * probe_print.c
 */

void probe_print(const struct probe *p);
struct json_object *probe_json(const struct probe *p);

/*
 * probe_rows.c: the table of what is tried, and how it is run
 */

/* While a row runs. */
struct world {
	const struct probe *probe;
	struct load l;
	bool negotiated;
};

enum row_result { ROW_PASS, ROW_FAIL, ROW_NOT_OFFERED, ROW_NOT_RUN };

/* What a row's function returns if it can say nothing; else 0, or an errno and load_why(). */
#define ROW_SKIP 1

struct row {
	const char *name;		/* a sentence which is true if it passes */
	int (*fn)(struct world *w);
	uint64_t features;		/* which have to be offered */
	uint64_t protocol;		/* likewise; and are negotiated by world_open() */
	bool requests;			/* it needs to know how to make some */
};

/* The tables, in the order in which they are run. */
extern const struct row rows_offer[], rows_work[], rows_rings[], rows_refuse[], rows_hostile[];

const char *row_result_name(enum row_result result);

struct row_count {
	unsigned int num[ROW_NOT_RUN + 1];
};

/* Run all rows; tell of each as soon as it is done. */
struct row_count rows_run(const struct probe *p,
			  void (*tell)(void *arg, const struct row *row, enum row_result result,
				       const char *why), void *arg);

/*
 * probe_world.c: what rows are made of.  Functions which can fail leave the reason in the load.
 */

/* A new connection instead of the one there is, nothing said yet; the same, and negotiated. */
int world_connect(struct world *w);
int world_negotiate(struct world *w, uint64_t protocol);
void world_close(struct world *w);

/* Requests to come: negotiated, laid out; and started. */
struct load_params world_params(const struct world *w);
int world_open(struct world *w, const struct load_params *params);
int world_start(struct world *w, const struct load_params *params);

/* So many requests, all of which must come back. */
int world_requests(struct world *w, unsigned int n);
/* The same in two steps. */
int world_submit(struct world *w, unsigned int n);
int world_finish(struct world *w);

/* The first ring with requests. */
struct fe_ring *world_ring(struct world *w);

/*
 * The device should have refused this, of which err came: by its answer, or by closing the
 * connection.  0, or the row fails.
 */
int world_refused(struct world *w, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Send one message as it is, and expect a refusal. */
struct world_message {
	const char *name;
	uint32_t request;
	const void *payload;
	uint32_t size;
	const int *fds;
	unsigned int nfds;
};
int world_bad(struct world *w, const struct world_message *m);

/* Whether the back-end answers on a new connection. */
int world_alive(struct world *w);

/* The peer's process, and how many files it has open; negative: it cannot be known. */
int world_open_files(struct world *w);

#endif /* TOOLS_PROBE_H */
