/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the options make sense together: of each device, of devices among each other, of all. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "internal.h"

/*
 * A device
 */

/* A name goes into logs, labels and LISTEN_FDNAMES as it is, beside those of our own sockets. */
static const char *check_name(const char *name)
{
	const char *p;

	if (!strcmp(name, "control") || !strcmp(name, "metrics"))
		return "that is a socket of the process";
	for (p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-._", *p))
			return "not of letters, digits, \"-\", \".\" and \"_\"";
	return NULL;
}

/* There must be one place where front-ends come from; NULL, or what is wrong. */
static const char *check_source(struct daemon_device *device)
{
	const struct daemon_conf *conf = &device->conf;
	const struct daemon_run *run = device->run;
	int given = !!conf->socket_path + (conf->fd >= 0) + !!conf->connect;

	if (conf->name)
		device->passed_fd = daemon_systemd_take(conf->name);
	/* Names make no difference where there is only one. */
	if (device->passed_fd < 0 && run->num_devices == 1)
		device->passed_fd = daemon_systemd_take_only();
	if (given > 1)
		return "--socket-path, --fd, --connect: only one of them can be given";
	if (device->passed_fd == -E2BIG)
		return "LISTEN_FDS: more than one socket";
	if (device->passed_fd >= 0 && given)
		return "--socket-path, --fd, --connect: LISTEN_FDS has a socket already";
	/* Who only asks may leave it to the service manager. */
	if (device->passed_fd < 0 && !given && !run->only_check)
		return "--socket-path, --fd or --connect: one of them is required";
	return NULL;
}

static int check_device_threads(const struct daemon_device *device)
{
	const struct pool_conf *pool = &device->pool_conf;

	if (pool->poll_us != common_pool_default.poll_us && !pool->threads) {
		device_err(device, "--poll-us=%u: it needs --threads of the device's own",
			   pool->poll_us);
		return -EINVAL;
	}
	if (pool->threads <= device->conf.num_queues)
		return 0;
	device_err(device, "--threads=%u: more than queues, of which there are --%s=%u",
		   pool->threads, device->run->daemon->queues->option[0].name,
		   device->conf.num_queues);
	return -EINVAL;
}

static int check_device(struct daemon_device *device)
{
	const char *name = device->conf.name, *why = name ? check_name(name) : NULL;

	if (why) {
		daemon_err("--name=%s: %s", name, why);
		return -EINVAL;
	}
	why = check_source(device);
	if (why) {
		device_err(device, "%s", why);
		return -EINVAL;
	}
	if (check_device_threads(device))
		return -EINVAL;
	return device->run->daemon->check(device);
}

/*
 * Devices among each other
 */

static bool check_same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static int check_two(const struct daemon_device *one, const struct daemon_device *two)
{
	const struct daemon_conf *a = &one->conf, *b = &two->conf;

	if (check_same(a->name, b->name))
		daemon_err("--name=%s: two devices have it", b->name);
	else if (check_same(a->socket_path, b->socket_path))
		device_err(two, "--socket-path=%s: %s has it already", b->socket_path, a->name);
	else if (check_same(a->connect, b->connect))
		device_err(two, "--connect=%s: %s has it already", b->connect, a->name);
	else if (a->fd >= 0 && a->fd == b->fd)
		device_err(two, "--fd=%d: %s has it already", b->fd, a->name);
	else
		return 0;
	return -EINVAL;
}

/* With those before it. */
static int check_among(const struct daemon_device *device)
{
	const struct daemon_device *one;

	for (one = device->run->devices; one < device; one++)
		if (check_two(one, device))
			return -EINVAL;
	return 0;
}

/* All of them, so that who mends the options sees what there is to mend. */
static int check_devices(struct daemon_run *run)
{
	struct daemon_device *device;
	int ret = 0;

	for_each_device(device, run)
		if (check_among(device) || check_device(device))
			ret = -EINVAL;
	return ret;
}

/* Queues of devices without threads of their own are the pool's. */
static int check_pool(const struct daemon_run *run)
{
	const struct daemon_device *device;
	unsigned int queues = 0;

	for_each_device(device, run)
		if (!device->pool_conf.threads)
			queues += device->conf.num_queues;
	if (run->pool_conf.threads <= queues)
		return 0;
	if (run->list)
		daemon_err("--threads=%u: more than queues, of which there are %u",
			   run->pool_conf.threads, queues);
	else
		daemon_err("--threads=%u: more than queues, of which there are --%s=%u",
			   run->pool_conf.threads, run->daemon->queues->option[0].name, queues);
	return -EINVAL;
}

/*
 * The process
 */

static const char *check_process(struct daemon_run *run)
{
	run->passed_control = daemon_systemd_take("control");
	if (run->passed_control >= 0 && run->conf.control)
		return "--control: LISTEN_FDS has its socket already";
	return NULL;
}

int daemon_check(struct daemon_run *run)
{
	const char *why = check_process(run);

	if (why) {
		daemon_err("%s", why);
		return -EINVAL;
	}
	if (check_pool(run) || check_devices(run))
		return -EINVAL;
	if (daemon_systemd_take_only() == -ENOENT)
		return 0;
	daemon_err("LISTEN_FDNAMES: a socket has the name of no device");
	return -EINVAL;
}
