/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One of the devices which the process serves: its options, its queues' workers, its socket.
 *
 * All devices have the control worker in common, so messages of their front-ends are handled in
 * turn, one at a time.  Each has its own socket, connection, memory and queues; what ends a
 * connection, or breaks a queue, is the matter of one device.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "util.h"

#define WIDTH_MAX 2
#define QUEUE_SIZE_DEFAULT 1024
#define LINE_SIZE 512

/*
 * For the daemons
 */

const struct daemon_conf *daemon_conf(const struct daemon_device *device)
{
	return &device->conf;
}

void *daemon_own(const struct daemon_device *device)
{
	return device->own;
}

const char *daemon_dev_name(const struct daemon_device *device)
{
	return device->title;
}

struct vhost_worker *daemon_control(const struct daemon_device *device)
{
	return device->run->control;
}

struct vhost_worker *const *daemon_workers(const struct daemon_device *device, unsigned int *n)
{
	*n = device->num_workers;
	return device->workers;
}

void daemon_need_file(struct daemon_device *device, const char *path, enum daemon_access access)
{
	sandbox_need_file(&device->run->sandbox, path, access);
}

void daemon_need_cap(struct daemon_device *device, unsigned int cap)
{
	sandbox_need_cap(&device->run->sandbox, cap);
}

__attribute__((format(printf, 3, 0)))
static void device_say(const struct daemon_device *device, enum vhost_log_level level,
		       const char *fmt, va_list ap)
{
	const char *name = *device->title ? device->title : device->conf.name;
	char line[LINE_SIZE];

	vsnprintf(line, sizeof(line), fmt, ap);
	daemon_log(level, "%s%s%s", name ? name : "", name ? ": " : "", line);
}

void device_log(const struct daemon_device *device, enum vhost_log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	device_say(device, level, fmt, ap);
	va_end(ap);
}

void device_err(const struct daemon_device *device, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	device_say(device, VHOST_LOG_ERR, fmt, ap);
	va_end(ap);
}

/*
 * Their number, and their names
 */

static int device_init(struct daemon_device *device, struct daemon_run *run)
{
	const struct daemon *d = run->daemon;
	const struct option_table tables[DEVICE_TABLES] = {
		[TABLE_OWN] = { .defs = d->options },
		[TABLE_QUEUES] = { .defs = d->queues->option, .values = &device->conf },
		[TABLE_COMMON] = { .defs = common_device, .values = &device->conf },
		[TABLE_POOL] = { .defs = common_pool, .values = &device->pool_conf },
	};

	device->run = run;
	device->conf = common_device_default;
	device->pool_conf = common_pool_default;
	device->conf.num_queues = d->queues->count;
	device->sock = (struct daemon_sock)DAEMON_SOCK_NONE;
	device->passed_fd = -ENOENT;
	device->own = calloc(1, d->own_size);
	memcpy(device->tables, tables, sizeof(tables));
	device->tables[TABLE_OWN].values = device->own;
	return device->own ? 0 : -ENOMEM;
}

int device_new_all(struct daemon_run *run, unsigned int n)
{
	int ret = 0;

	run->devices = calloc(n, sizeof(*run->devices));
	if (!run->devices)
		return -ENOMEM;
	while (!ret && run->num_devices < n)
		ret = device_init(&run->devices[run->num_devices++], run);
	return ret;
}

int device_new_only(struct daemon_run *run)
{
	if (device_new_all(run, 1))
		return -ENOMEM;
	memcpy(run->tables, run->devices->tables, sizeof(run->devices->tables));
	/* Its threads are the process's. */
	run->tables[TABLE_POOL].values = &run->pool_conf;
	run->tables[TABLE_PROCESS] = (struct option_table){
		.defs = common_process, .values = &run->conf,
	};
	return 0;
}

void device_free_all(struct daemon_run *run)
{
	struct daemon_device *device;

	for_each_device(device, run) {
		if (run->daemon->forget && device->own)
			run->daemon->forget(device);
		close_fd(&device->sock.fd);
		free(device->own);
	}
	free(run->devices);
	run->devices = NULL;
	run->num_devices = 0;
}

struct daemon_device *device_find(struct daemon_run *run, const char *name)
{
	struct daemon_device *device;

	for_each_device(device, run)
		if (device->conf.name && !strcmp(device->conf.name, name))
			return device;
	return NULL;
}

void device_names(const struct daemon_run *run, char text[DEVICE_NAMES_SIZE])
{
	const struct daemon_device *device;
	size_t len = 0;

	*text = '\0';
	for_each_device(device, run)
		if (device->conf.name && len < DEVICE_NAMES_SIZE)
			len += (size_t)snprintf(text + len, DEVICE_NAMES_SIZE - len, "%s%s",
						len ? ", " : "", device->conf.name);
}

/*
 * Life
 */

int device_create(struct daemon_device *device)
{
	const struct daemon *d = device->run->daemon;
	int ret;

	if (device->conf.name)
		snprintf(device->title, sizeof(device->title), "%s", device->conf.name);
	else
		daemon_sock_name(&device->sock, device->conf.connect, d->type, device->title,
				 sizeof(device->title));
	ret = d->create(device, &device->dev);
	if (ret)
		device->dev = NULL;
	return ret;
}

void device_destroy(struct daemon_device *device)
{
	limits_release(device);
	device->run->daemon->destroy(device);
	device->dev = NULL;
}

/* Deal the queues out to the workers, those which belong together to the same one. */
static void device_bind(struct daemon_device *device)
{
	const struct daemon *d = device->run->daemon;
	struct vhost_worker *workers[THREADS_MAX * WIDTH_MAX];
	unsigned int i, n = device->num_workers * d->queues->width;

	for (i = 0; i < n; i++)
		workers[i] = device->workers[i / d->queues->width];
	if (n && !d->binds)
		vhost_dev_bind(device->dev, workers, n);
}

/* The socket's fd is the library's from now on; or it calls at the front-end's. */
static int device_attach(struct daemon_device *device)
{
	struct vhost_worker *control = device->run->control;
	int fd = device->sock.fd;

	device->sock.fd = -1;
	if (device->conf.connect)
		return vhost_dev_connect(device->dev, control, device->conf.connect);
	if (device->sock.listening)
		return vhost_dev_listen(device->dev, control, fd);
	return vhost_dev_attach(device->dev, control, fd);
}

int device_serve(struct daemon_device *device)
{
	int ret;

	device_bind(device);
	vhost_dev_set_patience(device->dev, device->conf.handshake_timeout * 1000);
	ret = device_attach(device);
	if (ret)
		device_err(device, "cannot serve the socket: %s", strerror(-ret));
	return ret;
}

/*
 * Connections
 */

void device_status(const struct daemon_device *device, char *text, size_t size)
{
	const struct daemon_conf *conf = &device->conf;

	if (device->run->stopping)
		snprintf(text, size, "stopping");
	else if (device->connected)
		snprintf(text, size, "front-end connected; %u %s of up to %u entries",
			 conf->num_queues, device->run->daemon->queues->noun,
			 conf->queue_size ? conf->queue_size : QUEUE_SIZE_DEFAULT);
	else if (device->over)
		snprintf(text, size, "its front-end has gone for good");
	else
		snprintf(text, size, "waiting for a front-end");
}

static void device_stop_posted(struct vhost_work *work)
{
	daemon_stop(container_of(work, struct daemon_device, stop_work)->run);
}

/* Whether a front-end is there, or may come, anywhere. */
static bool device_any_left(const struct daemon_run *run)
{
	const struct daemon_device *device;

	for_each_device(device, run)
		if (!device->over)
			return true;
	return false;
}

void daemon_connection(struct daemon_device *device, bool up)
{
	struct daemon_run *run = device->run;

	device->connected = up;
	device->connected_at = time(NULL);
	device->over = !up && !device->sock.listening && !device->conf.connect;
	if (run->stopping)
		return;
	daemon_tell_status(run);
	if (device_any_left(run))
		return;
	/* The device is in the middle of taking leave from this connection. */
	device->stop_work.fn = device_stop_posted;
	vhost_worker_post(run->control, &device->stop_work);
}
