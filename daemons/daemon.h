/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scaffolding of a daemon which serves vhost-user devices of one kind: usually one, several if
 * its configuration has a list of them.
 *
 * A daemon's main.c describes its kind of device in a struct daemon; daemon_main() does
 * all the rest in one sequence: options, signals, the devices' backing stores, sockets,
 * workers, the loop, drain, end.  What every device has in common to configure is
 * struct daemon_conf; its own options come from its own table.
 */
#ifndef DAEMONS_DAEMON_H
#define DAEMONS_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include "libvhost.h"
#include "options.h"

/* The options which all devices have. */
struct daemon_conf {
	const char *name;		/* NULL: not given */
	const char *socket_path;	/* likewise */
	int fd;				/* -1: not given */
	const char *connect;		/* NULL: not given */
	unsigned int num_queues;	/* of what the daemon has: struct daemon_queues */
	unsigned int queue_size;	/* entries; 0: not given */
	bool iommu;
	unsigned int handshake_timeout;	/* seconds; 0: none */
	unsigned int packed;		/* place in the option's choices: on, off */
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
struct daemon_device;
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
 * What a daemon is.  The functions are called for each device, on the main thread, in the order
 * in which they stand here; those which can fail return a negative errno after device_err() has
 * said why.
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
	int (*check)(struct daemon_device *device);
	/* Whether the device can have these values; who asks for others gets DAEMON_FAILED.  Or NULL. */
	int (*judge)(struct daemon_device *device);
	/* Call daemon_need_file() and daemon_need_cap() for all that the later functions need. */
	void (*needs)(struct daemon_device *device);
	const unsigned long *ioctls;	/* for which seccomp has to know; then 0; or NULL */
	/* Open what the device needs from outside. */
	int (*open)(struct daemon_device *device);
	/* Make the device.  If binds is set, it has bound its queues to daemon_workers(). */
	int (*create)(struct daemon_device *device, struct vhost_dev **dev);
	bool binds;
	/* Free the device, which is stopped; the workers are still there. */
	void (*destroy)(struct daemon_device *device);
	/* The end.  If the device has never been served, take back what open has created. */
	void (*close)(struct daemon_device *device, bool served);
	/* Free what the options hold, however far the run has come; or NULL. */
	void (*forget)(struct daemon_device *device);

	/* For the control socket, see control.h.  Each may be NULL. */

	/* Methods beside those which all daemons have. */
	const struct control_method *methods;
	/* Say more in the answer to "status", an object.  Control worker. */
	void (*status)(struct daemon_device *device, struct json_object *status);
	/* Names of what the device counts of each queue, at most DAEMON_COUNTERS_MAX, then NULL. */
	const char *const *counters;
	/* Fill in the values of these.  Queue's worker. */
	void (*queue_stats)(struct daemon_device *device, unsigned int queue, uint64_t *values);
	/* Its queues from this one on may be paused and slowed down as a whole. */
	bool pauses;
	unsigned int first_request;
	unsigned int overhead;		/* bytes of a request beside its data */
};

#define DAEMON_COUNTERS_MAX 24

/* The life of a daemon. */
int daemon_main(const struct daemon *daemon, int argc, char **argv);

/* The common options of a device, and its own state. */
const struct daemon_conf *daemon_conf(const struct daemon_device *device);
void *daemon_own(const struct daemon_device *device);

/*
 * What to call the device, in the log: its name, or else the base name of its socket without
 * ".sock", or else its type.  From create to the end of the run.
 */
const char *daemon_dev_name(const struct daemon_device *device);

/* The worker which the device will be served on, from open to destroy. */
struct vhost_worker *daemon_control(const struct daemon_device *device);
/* The workers of its queues, *n of them, which may be 0.  From create to destroy. */
struct vhost_worker *const *daemon_workers(const struct daemon_device *device, unsigned int *n);

/* To be called by needs: what the sandbox has to leave; the path must live as long as the run. */
void daemon_need_file(struct daemon_device *device, const char *path, enum daemon_access access);
void daemon_need_cap(struct daemon_device *device, unsigned int cap);

/* What the common options mean for struct vhost_dev_params. */
unsigned int daemon_dev_flags(const struct daemon_device *device);
uint64_t daemon_dev_features_off(const struct daemon_device *device);

/*
 * To be called by the device when a connection comes (up) or ends.  A daemon whose devices were
 * all given connected sockets ends with the last of these.  Control worker.
 */
void daemon_connection(struct daemon_device *device, bool up);

/* Log a line; daemon_err() at the level of errors.  Any thread. */
void daemon_log(enum vhost_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void daemon_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, and the device is named: before it is created, if it was given a name. */
void device_log(const struct daemon_device *device, enum vhost_log_level level, const char *fmt,
		...) __attribute__((format(printf, 3, 4)));
void device_err(const struct daemon_device *device, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* DAEMONS_DAEMON_H */
