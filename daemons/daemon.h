/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scaffolding of a daemon which serves one vhost-user device.
 *
 * A daemon's main.c describes its device in a struct daemon; daemon_main() does
 * all the rest in one sequence: options, signals, the device's backing store, socket,
 * workers, the loop, drain, end.  What every daemon has in common to configure is
 * struct daemon_conf; the device's own options come from its own table.
 */
#ifndef DAEMONS_DAEMON_H
#define DAEMONS_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include "libvhost.h"
#include "options.h"

/* The common options. */
struct daemon_conf {
	const char *socket_path;	/* NULL: not given */
	int fd;				/* -1: not given */
	const char *connect;		/* NULL: not given */
	unsigned int num_queues;	/* of what the daemon has: struct daemon_queues */
	unsigned int queue_size;	/* entries; 0: not given */
	unsigned int threads;		/* queue workers; 0: the control worker serves the queues */
	unsigned int poll_us;
	bool iommu;
	unsigned int handshake_timeout;	/* seconds; 0: none */
	unsigned int packed;		/* place in the option's choices: on, off */
	unsigned int log_level;		/* place in the option's choices */
	const char *config;		/* file; NULL: not given */
	const char *control;		/* path of the control socket; NULL: not given */
	const char *metrics;		/* path of the socket for statistics; NULL: not given */
	unsigned int sandbox, seccomp;	/* places in the choices: enum sandbox_mode, enum seccomp_mode */
	const char *user, *group;	/* NULL: not given */
};

/* What a file is needed for. */
enum daemon_access {
	DAEMON_READ,
	DAEMON_WRITE,			/* and read; it exists */
	DAEMON_MAKE,			/* likewise, or it is made, replaced or removed */
	DAEMON_SOCKET,			/* a socket is made there and removed */
	DAEMON_FOLDER,			/* as DAEMON_MAKE, for all files in this folder */
};

/* Exit statuses. */
enum { DAEMON_OK = 0, DAEMON_FAILED = 1, DAEMON_USAGE = 2 };

struct control_method;
struct daemon_run;
struct json_object;

/* What the user may ask for several of: queues which are served independently of each other. */
struct daemon_queues {
	struct option_def option[2];	/* its field is num_queues, and the end of the table */
	const char *noun;		/* what several of them are called */
	unsigned int count;		/* of them by default */
	unsigned int width;		/* virtqueues of each, which one thread serves */
};

/* Request queues, --num-queues; and pairs of queues to receive and to send, --queue-pairs. */
extern const struct daemon_queues daemon_request_queues, daemon_queue_pairs;

/*
 * What a daemon is.  The functions run on the main thread, in the order in which they
 * stand here; those which can fail return a negative errno after daemon_err() has said
 * why.
 */
struct daemon {
	const char *name;		/* of the program */
	const char *summary;		/* one line for --help */
	const char *type;		/* of the device, for --print-capabilities */
	const char *const *features;	/* likewise; words, then NULL.  NULL: by QEMU's
					 * schema the type has none */
	const struct option_def *options; /* its fields are in the device's own state */
	size_t own_size;		/* bytes of that state, which is zero at first */
	const struct daemon_queues *queues;

	/* Whether the options make sense together. */
	int (*check)(struct daemon_run *run);
	/* Whether the device can have these values; who asks for others gets DAEMON_FAILED.  Or NULL. */
	int (*judge)(struct daemon_run *run);
	/* Call daemon_need_file() and daemon_need_cap() for all that the later functions need. */
	void (*needs)(struct daemon_run *run);
	const unsigned long *ioctls;	/* for which seccomp has to know; then 0; or NULL */
	/* Open what the device needs from outside. */
	int (*open)(struct daemon_run *run);
	/* Make the device.  If binds is set, it has bound its queues to daemon_workers(). */
	int (*create)(struct daemon_run *run, struct vhost_dev **dev);
	bool binds;
	/* Free the device, which is stopped; the workers are still there. */
	void (*destroy)(struct daemon_run *run);
	/* The end.  If the device has never been served, take back what open has created. */
	void (*close)(struct daemon_run *run, bool served);
	/* Free what the options hold, however far the run has come; or NULL. */
	void (*forget)(struct daemon_run *run);

	/* For the control socket, see control.h.  Each may be NULL. */

	/* Methods beside those which all daemons have. */
	const struct control_method *methods;
	/* Say more in the answer to "status", an object.  Control worker. */
	void (*status)(struct daemon_run *run, struct json_object *status);
	/* Names of what the device counts of each queue, at most DAEMON_COUNTERS_MAX, then NULL. */
	const char *const *counters;
	/* Fill in the values of these.  Queue's worker. */
	void (*queue_stats)(struct daemon_run *run, unsigned int queue, uint64_t *values);
	/* Its queues from this one on may be paused and slowed down as a whole. */
	bool pauses;
	unsigned int first_request;
	unsigned int overhead;		/* bytes of a request beside its data */
};

#define DAEMON_COUNTERS_MAX 24

/* The life of a daemon. */
int daemon_main(const struct daemon *daemon, int argc, char **argv);

/* The common options of a run, and the device's own state. */
const struct daemon_conf *daemon_conf(const struct daemon_run *run);
void *daemon_own(const struct daemon_run *run);

/* The worker which the device will be served on, from open to destroy. */
struct vhost_worker *daemon_control(const struct daemon_run *run);
/* The workers of the queues, *n of them, which may be 0.  From create to destroy. */
struct vhost_worker *const *daemon_workers(const struct daemon_run *run, unsigned int *n);

/* To be called by needs: what the sandbox has to leave; the path must live as long as the run. */
void daemon_need_file(struct daemon_run *run, const char *path, enum daemon_access access);
/* An image; size: it is made, if it is not there, with that many bytes, if not 0. */
void daemon_need_image(struct daemon_run *run, const char *path, bool read_only, uint64_t size);
void daemon_need_cap(struct daemon_run *run, unsigned int cap);

/* What the common options mean for struct vhost_dev_params. */
unsigned int daemon_dev_flags(const struct daemon_conf *conf);
uint64_t daemon_dev_features_off(const struct daemon_conf *conf);

/*
 * To be called by the device when a connection comes (up) or ends: a daemon which was given
 * a connected socket ends with it.  Control worker.
 */
void daemon_connection(struct daemon_run *run, bool up);

/* What goes on, in a few words, cut at size bytes.  Control worker. */
#define DAEMON_STATUS_SIZE 128
void daemon_status(const struct daemon_run *run, char *text, size_t size);

/* Log a line; daemon_err() at the level of errors.  Any thread. */
void daemon_log(enum vhost_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void daemon_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* DAEMONS_DAEMON_H */
