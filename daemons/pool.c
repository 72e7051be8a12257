/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workers which serve queues, and which device has which of them.
 *
 * --threads makes one pool for all devices of the process: their queues are dealt out to it one
 * after the other, going on with the next device where the last one has ended.  A device of a
 * list which has "threads" of its own takes no part in that; nobody else has these.  Where there
 * is neither, the control worker serves the queues.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "util.h"

static int pool_start_worker(struct daemon_run *run, unsigned int poll_us)
{
	struct vhost_worker *w;
	char name[24];
	int ret = vhost_worker_new(&w, NULL);

	if (ret)
		return ret;
	snprintf(name, sizeof(name), "queues-%u", run->num_workers);
	vhost_worker_set_poll(w, poll_us);
	ret = vhost_worker_start(w, name);
	if (ret) {
		vhost_worker_free(w);
		return ret;
	}
	run->workers[run->num_workers++] = w;
	return 0;
}

static int pool_start_workers(struct daemon_run *run, const struct pool_conf *conf)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < conf->threads; i++)
		ret = pool_start_worker(run, conf->poll_us);
	return ret;
}

/* Of the process's, which are the first ones, as many as it has queues. */
static void pool_deal(struct daemon_device *device, unsigned int *next)
{
	struct daemon_run *run = device->run;
	unsigned int i, n = run->pool_conf.threads;

	device->num_workers = MIN(n, device->conf.num_queues);
	for (i = 0; i < device->num_workers; i++)
		device->workers[i] = run->workers[(*next + i) % n];
	if (n)
		*next = (*next + device->conf.num_queues) % n;
}

static int pool_start_own(struct daemon_device *device)
{
	struct daemon_run *run = device->run;
	unsigned int first = run->num_workers;
	int ret = pool_start_workers(run, &device->pool_conf);

	if (ret) {
		device_err(device, "--threads=%u: %s", device->pool_conf.threads, strerror(-ret));
		return ret;
	}
	device->num_workers = run->num_workers - first;
	memcpy(device->workers, run->workers + first,
	       device->num_workers * sizeof(device->workers[0]));
	return 0;
}

/* Room for all of them. */
static int pool_new(struct daemon_run *run)
{
	unsigned int n = run->pool_conf.threads;
	const struct daemon_device *device;

	for_each_device(device, run)
		n += device->pool_conf.threads;
	run->workers = calloc(MAX(n, 1u), sizeof(run->workers[0]));
	return run->workers ? 0 : -ENOMEM;
}

int pool_start(struct daemon_run *run)
{
	struct daemon_device *device;
	unsigned int next = 0;
	int ret = pool_new(run);

	if (!run->pool_conf.threads)
		vhost_worker_set_poll(run->control, run->pool_conf.poll_us);
	if (!ret)
		ret = pool_start_workers(run, &run->pool_conf);
	if (ret) {
		daemon_err("--threads=%u: %s", run->pool_conf.threads, strerror(-ret));
		return ret;
	}
	for_each_device(device, run) {
		if (!device->pool_conf.threads)
			pool_deal(device, &next);
		else
			ret = pool_start_own(device);
		if (ret)
			return ret;
	}
	return 0;
}

void pool_end(struct daemon_run *run)
{
	while (run->num_workers) {
		struct vhost_worker *w = run->workers[--run->num_workers];

		vhost_worker_stop(w);
		vhost_worker_free(w);
	}
	free(run->workers);
	run->workers = NULL;
}
