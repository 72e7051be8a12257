/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the scaffolding share, grouped by the file which has it. */
#ifndef DAEMONS_INTERNAL_H
#define DAEMONS_INTERNAL_H

#include <sys/types.h>
#include <time.h>

#include "control.h"
#include "daemon.h"
#include "sandbox.h"

struct daemon_run;
struct event;
struct event_base;
struct limits;
struct lines_server;
struct stats;
struct stats_device;

#define THREADS_MAX 64			/* of those which share queues */
#define DEVICES_MAX 64
#define DEVICE_NAME_MAX 64		/* bytes */

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
 * common.c: the options which all daemons have
 */

/* Threads which serve queues: of the process, or of one device. */
struct pool_conf {
	unsigned int threads;		/* 0: the control worker, or those of the process */
	unsigned int poll_us;		/* at most, before sleeping */
};

extern const struct pool_conf common_pool_default;

/* What is said once, however many devices there are. */
struct process_conf {
	unsigned int log_level;		/* place in daemon_log_levels */
	const char *config;		/* file; NULL: not given */
	const char *control;		/* path of the control socket; NULL: not given */
	const char *metrics;		/* path of the socket for statistics; NULL: not given */
	unsigned int sandbox, seccomp;	/* places in the choices: enum sandbox_mode, enum seccomp_mode */
	const char *user, *group;	/* NULL: not given */
};

/* The fields of these are in struct daemon_conf, struct pool_conf and struct process_conf. */
extern const struct option_def common_device[], common_pool[], common_process[];

/* The defaults; what is not said is zero. */
extern const struct daemon_conf common_device_default;
extern const struct process_conf common_process_default;

/* Words of --log-level, and what they mean. */
extern const char *const daemon_log_levels[];
enum vhost_log_level common_log_level(unsigned int level);

/* Whether there is an option which only prints something; it has set the exit status. */
bool common_act(const struct daemon *d, int argc, char **argv, int *status);

/*
 * config_file.c
 */

/* Take the options of --config, if it was given.  Errors have been logged. */
int daemon_config_read(struct daemon_run *run);
/*
 * Those of run->config, an object.  -EINVAL, -ENOMEM: the reason was told; if devices of a list
 * are wrong, that of each of them.
 */
int daemon_config_take(struct daemon_run *run,
		       void (*tell)(const struct daemon_run *run, const char *why));
/* The options which have been set, as a file of --config has them; to be put. */
struct json_object *daemon_config(const struct daemon_run *run);
/* Those of one device: as an element of the list of devices, if there is one. */
struct json_object *daemon_config_device(const struct daemon_device *device);
void daemon_config_print(const struct daemon_run *run);

/*
 * check.c
 */

/*
 * Whether all options make sense together, and find the sockets which were passed.  What is wrong
 * with each of the devices has been logged.
 */
int daemon_check(struct daemon_run *run);

/*
 * device.c: one of the devices
 */

/* Where the tables of a device's options are among its own, and among those of a command line. */
enum { TABLE_OWN, TABLE_QUEUES, TABLE_COMMON, TABLE_POOL, DEVICE_TABLES };

struct daemon_device {
	struct daemon_run *run;
	struct daemon_conf conf;
	struct pool_conf pool_conf;	/* of workers of its own */
	void *own;			/* daemon->own_size bytes */
	struct option_table tables[DEVICE_TABLES];
	struct daemon_sock sock;
	int passed_fd;			/* of the service manager's socket; negative: none */
	struct vhost_worker *workers[THREADS_MAX];	/* which serve its queues */
	unsigned int num_workers;
	char title[DEVICE_NAME_MAX + 1];	/* for the log; empty until it is created */
	bool opened;
	struct vhost_dev *dev;		/* NULL: not created */
	time_t connected_at;
	bool connected;			/* a front-end is there */
	bool over;			/* none will come any more */
	struct vhost_work stop_work;	/* posted at most once: at the end of the connection */

	struct stats_device *stats;	/* stats.c */
	struct limits *limits;		/* limits.c; NULL: the device cannot be paused */
};

/*
 * So many of them, without options; or one, whose options are those of a command line, in
 * run->tables.  device_free_all() also after -ENOMEM.
 */
int device_new_all(struct daemon_run *run, unsigned int n);
int device_new_only(struct daemon_run *run);
void device_free_all(struct daemon_run *run);

#define for_each_device(device, run) \
	for ((device) = (run)->devices; (device) < (run)->devices + (run)->num_devices; (device)++)

/* NULL: there is none of this name. */
struct daemon_device *device_find(struct daemon_run *run, const char *name);
/* The names of all, as in "one, two, three". */
#define DEVICE_NAMES_SIZE 256
void device_names(const struct daemon_run *run, char text[DEVICE_NAMES_SIZE]);

/* Make it; serve it where front-ends come from, as all of its workers run. */
int device_create(struct daemon_device *device);
int device_serve(struct daemon_device *device);
/* It has stopped. */
void device_destroy(struct daemon_device *device);

/* What goes on, in a few words, cut at size bytes.  Control worker. */
#define DAEMON_STATUS_SIZE 128
void device_status(const struct daemon_device *device, char *text, size_t size);

/*
 * pool.c: workers of the queues
 */

/* Start those of the process and of the devices, and deal them out.  pool_end() also if it fails. */
int pool_start(struct daemon_run *run);
void pool_end(struct daemon_run *run);

/*
 * daemon.c: the process
 */

/* Of a command line: those of a device which is not in a list, and of the process. */
enum { TABLE_PROCESS = DEVICE_TABLES, RUN_TABLES };

struct daemon_run {
	const struct daemon *daemon;
	struct process_conf conf;
	struct pool_conf pool_conf;	/* of the workers for devices which have none of their own */
	struct option_table tables[RUN_TABLES];
	struct json_object *config;	/* of --config, into which options point; NULL: none */
	struct json_object *list;	/* of devices in it, likewise; NULL: there is only one device */
	bool only_check;		/* --check-config, --print-config */
	struct daemon_device *devices;	/* [num_devices] */
	unsigned int num_devices;
	struct daemon_sock control_sock, metrics_sock;
	int passed_control;		/* of the service manager's socket; negative: none */
	struct vhost_worker *control;
	struct vhost_worker **workers;	/* [num_workers], all which there are beside it */
	unsigned int num_workers;
	struct event *signals;
	struct sandbox sandbox;
	bool stopping;
	unsigned int serving;		/* devices which have not stopped yet */
	time_t started_at;

	struct lines_server *control_server;	/* rpc.c; NULL: none */
	struct control_call *calls;	/* which have not ended */
	struct stats *stats;		/* stats.c */
	struct lines_server *metrics_server;	/* metrics.c; NULL: none */
};

void daemon_set_level(struct daemon_run *run, unsigned int level);

/* As device_status(), of all. */
void daemon_status(const struct daemon_run *run, char *text, size_t size);
/* Tell the service manager about it. */
void daemon_tell_status(const struct daemon_run *run);

/* Drain and end.  Again: nothing. */
void daemon_stop(void *run);

/*
 * rpc.c: the control socket; methods.c: what all daemons have
 */

extern const struct control_method control_methods[];

struct daemon_run *control_run(const struct control_call *call);

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

/* For the devices which there are; stats_free() also after -ENOMEM. */
int stats_new(struct daemon_run *run);
/* When no worker runs any more. */
void stats_free(struct daemon_run *run);

/*
 * Gather them; done() comes on the control worker, unless the process ends before.  What follows
 * tells what was gathered, within done().
 */
int stats_ask(struct daemon_run *run, void (*done)(struct daemon_run *run, void *arg), void *arg);
unsigned int stats_queues(const struct daemon_device *device);
const struct stats_queue *stats_queue(const struct daemon_device *device, unsigned int i);
/* Requests in flight, of all queues: taken from their rings and not given back. */
uint64_t stats_outstanding(const struct daemon_device *device);
/* Those since the last reset, as members of obj. */
void stats_add(struct daemon_device *device, struct json_object *obj);
void stats_reset(struct daemon_device *device);

/* The counters which every queue has; ends with one without name. */
struct stats_common {
	const char *name;
	size_t offset;			/* in struct vhost_queue_stats */
	const char *help;
};

extern const struct stats_common stats_common[];
uint64_t stats_common_value(const struct stats_queue *sq, const struct stats_common *row);

/*
 * metrics.c
 */

/*
 * What was gathered, within done() of stats_ask(), of this device, or NULL: of all; to be freed,
 * NULL: there is no memory.
 */
char *metrics_text(struct daemon_run *run, struct daemon_device *device, size_t *len);
/* Serve the socket on the control worker; fd is owned, also when this fails. */
int metrics_open(struct daemon_run *run, int fd);
void metrics_close(struct daemon_run *run);

/*
 * limits.c: for the devices with daemon->pauses
 */

extern const struct control_method limits_methods[];

/* limits_free() also after an error. */
int limits_new(struct daemon_device *device);
bool limits_paused(const struct daemon_device *device);
/* The device stops for good; its workers are there, but for the control worker. */
void limits_release(struct daemon_device *device);
/* When no worker runs any more. */
void limits_free(struct daemon_device *device);

#endif /* DAEMONS_INTERNAL_H */
