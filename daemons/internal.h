/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the scaffolding share, grouped by the file which has it. */
#ifndef DAEMONS_INTERNAL_H
#define DAEMONS_INTERNAL_H

#include <sys/types.h>

#include "daemon.h"

struct event;
struct event_base;

/*
 * log.c
 */

/* From now on lines go to stderr, the library's too.  All but errors have to wait for the level. */
void daemon_log_open(const char *name);
void daemon_log_set_level(enum vhost_log_level level);

/*
 * sock.c: where front-ends come from
 */

struct daemon_sock {
	int fd;				/* -1: none */
	bool listening;			/* else connected */
	const char *path;		/* of the file we made, NULL: none */
	dev_t dev;			/* and which file that is */
	ino_t ino;
};

#define DAEMON_SOCK_NONE { .fd = -1 }

/*
 * Take over this fd; the source is what named it.  Before anything else is opened: the
 * number must not be that of a file of our own.
 */
int daemon_sock_adopt(struct daemon_sock *sock, const char *source, int fd);

/* Listen at --socket-path, if it was given. */
int daemon_sock_listen(struct daemon_sock *sock, const struct daemon_conf *conf);

/* Remove the file which we made, if it is still that one. */
void daemon_sock_remove(struct daemon_sock *sock);

/*
 * signals.c
 */

/* Ignore and handle what must be, and hold SIGTERM and SIGINT back for daemon_signals_watch(). */
void daemon_signals_init(void);

/* Call fn(arg) on base when SIGTERM or SIGINT has come.  *ev is to be freed. */
int daemon_signals_watch(struct event **ev, struct event_base *base, void (*fn)(void *arg),
			 void *arg);
void daemon_signals_unwatch(struct event *ev);

/*
 * systemd.c: the service manager
 */

/*
 * Read and remove what the environment says, before anything else is opened; close what was not
 * taken of it.  An error has been logged.
 */
int daemon_systemd_open(void);
void daemon_systemd_close(void);

/* The caller's from now on: the socket of this name; or the only one which has not been taken. */
int daemon_systemd_take(const char *name);	/* -ENOENT: none */
int daemon_systemd_take_only(void);		/* -ENOENT: none; -E2BIG: more than one */

/* We serve, and are alive as long as this base turns; what we do; we end.  Control worker. */
int daemon_systemd_ready(struct event_base *base, const char *status);
void daemon_systemd_status(const char *status);
void daemon_systemd_stopping(void);

#endif /* DAEMONS_INTERNAL_H */
