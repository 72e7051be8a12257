/* SPDX-License-Identifier: BSD-3-Clause */
/* A device and its front-end on one thread. */
#include "stepped.h"

#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void stepped_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

static int stepped_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	stepped_check(fd >= 0);
	return fd;
}

/* Without a path the kernel gives an abstract name, so that there is no file to clean up. */
static int stepped_listen(struct stepped *s)
{
	const struct sockaddr_un unnamed = { .sun_family = AF_UNIX };
	int fd = stepped_socket();

	s->addr_len = sizeof(s->addr);
	stepped_check(!bind(fd, (const struct sockaddr *)&unnamed, sizeof(unnamed.sun_family)));
	stepped_check(!listen(fd, 4));
	stepped_check(!getsockname(fd, (struct sockaddr *)&s->addr, &s->addr_len));
	return fd;
}

void stepped_open(struct stepped *s)
{
	*s = (struct stepped){ .fe = { .fd = -1, .backend_fd = -1 } };
	s->base = event_base_new();
	stepped_check(s->base);
	stepped_check(!vhost_worker_new(&s->worker, s->base));
}

void stepped_serve(struct stepped *s, struct vhost_dev *dev)
{
	s->dev = dev;
	stepped_check(!vhost_dev_listen(dev, s->worker, stepped_listen(s)));
}

void stepped_start(struct stepped *s, const struct vhost_dev_ops *ops,
		   const struct vhost_dev_params *params, void *opaque)
{
	struct vhost_dev *dev;

	stepped_open(s);
	stepped_check(!vhost_dev_new(&dev, ops, params, opaque));
	stepped_serve(s, dev);
}

void stepped_connect(struct stepped *s)
{
	int fd = stepped_socket();

	fe_close(&s->fe);
	stepped_check(!connect(fd, (const struct sockaddr *)&s->addr, s->addr_len));
	fe_attach(&s->fe, fd);
	s->fe.no_ack = true;
	s->fe.timeout_ms = 0;
	stepped_run(s);
}

void stepped_run(struct stepped *s)
{
	/* Without EVLOOP_ONCE this goes on as long as anything is ready. */
	event_base_loop(s->base, EVLOOP_NONBLOCK);
}

void stepped_turn(struct stepped *s)
{
	event_base_loop(s->base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

static void stepped_done(struct vhost_dev *dev, void *arg)
{
	struct stepped *s = arg;

	(void)dev;
	s->stopped = true;
}

void stepped_halt(struct stepped *s)
{
	fe_close(&s->fe);
	stepped_run(s);
	vhost_dev_stop(s->dev, stepped_done, s);
	stepped_run(s);
	while (!s->stopped)
		event_base_loop(s->base, EVLOOP_ONCE);
}

void stepped_close(struct stepped *s)
{
	stepped_run(s);
	vhost_worker_free(s->worker);
	event_base_free(s->base);
}

void stepped_stop(struct stepped *s)
{
	fe_close(&s->fe);
	stepped_run(s);
	vhost_dev_stop(s->dev, stepped_done, s);
	stepped_run(s);
	stepped_check(s->stopped);
	vhost_dev_free(s->dev);
	stepped_close(s);
}

int stepped_count_fds(void)
{
	struct pollfd fds[STEPPED_FDS];
	int i, n = 0;

	for (i = 0; i < STEPPED_FDS; i++)
		fds[i] = (struct pollfd){ .fd = i };
	stepped_check(poll(fds, STEPPED_FDS, 0) >= 0);
	for (i = 0; i < STEPPED_FDS; i++)
		n += !(fds[i].revents & POLLNVAL);
	return n;
}

bool stepped_is_optimized(void)
{
#ifdef __OPTIMIZE__
	return true;
#else
	return false;
#endif
}
