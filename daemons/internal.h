/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the scaffolding share, grouped by the file which has it. */
#ifndef DAEMONS_INTERNAL_H
#define DAEMONS_INTERNAL_H

#include <sys/types.h>
#include <time.h>

#include "control.h"
#include "daemon.h"
#include "sandbox.h"

struct event;
struct event_base;
struct limits;
struct lines_server;
struct stats;

#define THREADS_MAX 64

/*
 * log.c
 */

/* From now on lines go to stderr, the library's too.  All but errors have to wait for the level. */
void daemon_log_open(const char *name);
void daemon_log_set_level(enum vhost_log_level level);

/*
 * sock.c: where front-ends come from, and other sockets of ours
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

/* Listen at path, which came by this option, if it was given. */
int daemon_sock_listen(struct daemon_sock *sock, const char *option, const char *path);

/*
 * What is served there: the base name of the path, without ".sock"; or the default.  Cut at size
 * bytes.
 */
void daemon_sock_name(const struct daemon_sock *sock, const char *path, const char *otherwise,
		      char *name, size_t size);

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

/*
 * config_file.c
 */

/* Take the options of --config, if it was given.  An error has been logged. */
int daemon_config_read(struct daemon_run *run);
/* The options which have been set, as a file of --config has them; to be put. */
struct json_object *daemon_config(const struct daemon_run *run);
void daemon_config_print(const struct daemon_run *run);

/*
 * daemon.c
 */

/* One process, one device. */
struct daemon_run {
	const struct daemon *daemon;
	struct daemon_conf conf;
	void *own;			/* daemon->own_size bytes */
	struct option_table tables[3];	/* of all options */
	struct json_object *config;	/* of --config, into which options point; NULL: none */
	bool only_check;		/* --check-config, --print-config */
	struct daemon_sock sock, control_sock, metrics_sock;
	int passed_fd, passed_control;	/* of the service manager's sockets; negative: none */
	struct vhost_worker *control;
	struct vhost_worker *workers[THREADS_MAX];
	unsigned int num_workers;
	struct event *signals;
	char dev_name[64];		/* for the log */
	struct vhost_dev *dev;
	struct sandbox sandbox;
	bool stopping;
	struct vhost_work stop_work;	/* posted at most once: at the end of the connection */

	time_t started_at, connected_at;
	bool connected;			/* a front-end is there */

	struct lines_server *control_server;	/* rpc.c; NULL: none */
	struct control_call *calls;	/* which have not ended */
	struct stats *stats;		/* stats.c */
	struct limits *limits;		/* limits.c; NULL: the device cannot be paused */
	struct lines_server *metrics_server;	/* metrics.c; NULL: none */
};

/* Words of --log-level; and let it be this one. */
extern const char *const daemon_log_levels[];
void daemon_set_level(struct daemon_run *run, unsigned int level);

/* Drain and end.  Again: nothing. */
void daemon_stop(void *run);

/*
 * rpc.c: the control socket; methods.c: what all daemons have
 */

extern const struct control_method control_methods[];

/* Serve it on the control worker; fd is owned, also when this fails. */
int control_open(struct daemon_run *run, int fd);
void control_close(struct daemon_run *run);

/*
 * stats.c
 */

/* Of one queue, copied by its worker. */
struct stats_queue {
	struct vhost_queue_stats common;
	uint64_t own[DAEMON_COUNTERS_MAX];	/* by daemon->counters */
	struct vhost_queue_latency latency;
	unsigned int size, outstanding;
	bool enabled;
};

/* For the device which there is; stats_free() also after -ENOMEM. */
int stats_new(struct daemon_run *run);
/* When no worker runs any more. */
void stats_free(struct daemon_run *run);

/*
 * Gather them; done() comes on the control worker, unless the process ends before.  What follows
 * tells what was gathered, within done().
 */
int stats_ask(struct daemon_run *run, void (*done)(struct daemon_run *run, void *arg), void *arg);
unsigned int stats_queues(const struct daemon_run *run);
const struct stats_queue *stats_queue(const struct daemon_run *run, unsigned int i);
/* Those since the last reset. */
struct json_object *stats_json(const struct daemon_run *run);
void stats_reset(struct daemon_run *run);

/* The counters which every queue has; ends with one without name. */
struct stats_common {
	const char *name;
	size_t offset;			/* in struct vhost_queue_stats */
};

extern const struct stats_common stats_common[];
uint64_t stats_common_value(const struct stats_queue *sq, const struct stats_common *row);

/*
 * metrics.c
 */

/* What was gathered, within done() of stats_ask(); to be freed, NULL: there is no memory. */
char *metrics_text(const struct daemon_run *run, size_t *len);
/* Serve the socket on the control worker; fd is owned, also when this fails. */
int metrics_open(struct daemon_run *run, int fd);
void metrics_close(struct daemon_run *run);

/*
 * limits.c: for the devices with daemon->pauses
 */

extern const struct control_method limits_methods[];

/* limits_free() also after an error. */
int limits_new(struct daemon_run *run);
bool limits_paused(const struct daemon_run *run);
/* The device stops for good; its workers are there, but for the control worker. */
void limits_release(struct daemon_run *run);
/* When no worker runs any more. */
void limits_free(struct daemon_run *run);

#endif /* DAEMONS_INTERNAL_H */
