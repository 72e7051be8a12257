/* SPDX-License-Identifier: BSD-3-Clause */
/* vhostctl: what its files share, grouped by the file which has it. */
#ifndef TOOLS_CTL_H
#define TOOLS_CTL_H

#include <stdbool.h>
#include <stddef.h>

#include "daemons/json.h"

/* Exit statuses. */
enum {
	CTL_OK = 0,
	CTL_FAILED = 1,			/* the daemon says no */
	CTL_USAGE = 2,
	CTL_BROKEN = 3,			/* there is none, or it does not answer */
};

/*
 * ctl_conn.c
 */

struct ctl_conn {
	int fd;
	int timeout_ms;			/* of each answer */
	int pass_fd;			/* goes along with the next call; -1: none */
	unsigned int id;		/* of the last call */
	char *in;			/* an answer, or the beginning of one */
	size_t in_len, in_room;		/* bytes */
};

/* Messages begin with the program's name. */
void ctl_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* 0 or a negative errno. */
int ctl_connect(struct ctl_conn *conn, const char *path, int timeout_ms);
void ctl_close(struct ctl_conn *conn);

/*
 * Call a method; params is given away.  CTL_OK: *result is to be put, and may be NULL.  CTL_FAILED:
 * it is the error's message, a string.  CTL_BROKEN: likewise, of ours.
 */
int ctl_call(struct ctl_conn *conn, const char *method, struct json_object *params,
	     struct json_object **result);

/*
 * ctl_print.c: answers, for people
 */

void ctl_print(struct json_object *result);
void ctl_print_help(struct json_object *result);
/* A table; with last, an earlier result, what has been done since is told per second. */
void ctl_print_stats(struct json_object *result, struct json_object *last, double seconds);

#endif /* TOOLS_CTL_H */
