/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How front-ends come: to a listening socket, as one connected socket, or by our calling
 * at theirs.
 *
 * A device serves one front-end at a time.  When a session has ended endpoint_next() looks for
 * the next one; others wait in the socket's backlog meanwhile.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "internal.h"

/* Waiting for a front-end which does not listen yet. */
#define CONNECT_WAIT_MIN_MS 100
#define CONNECT_WAIT_MAX_MS 5000

void endpoint_close(struct vhost_dev *dev)
{
	struct endpoint *e = &dev->endpoint;

	if (e->listen_ev)
		event_free(e->listen_ev);
	if (e->retry_ev)
		event_free(e->retry_ev);
	e->listen_ev = e->retry_ev = NULL;
	close_fd(&e->listen_fd);
	free(e->path);
	e->path = NULL;
}

static void endpoint_wait(struct endpoint *e, unsigned int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(e->retry_ev, &tv);
}

/*
 * Listening
 */

static void endpoint_accept(evutil_socket_t listen_fd, short what, void *arg)
{
	struct vhost_dev *dev = arg;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

	(void)what;
	if (fd >= 0 && !conn_open(dev, fd))
		return;
	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) {
		event_add(dev->endpoint.listen_ev, NULL);
		return;
	}
	/* Without descriptors or memory: try again after a while. */
	dev_log(dev, VHOST_LOG_ERR, "cannot accept a front-end: %m");
	endpoint_wait(&dev->endpoint, 1000);
}

/*
 * Connecting
 */

/* A socket connected to path, or a negative errno. */
static int endpoint_call(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ret;

	if (fd < 0)
		return -errno;
	memcpy(sun.sun_path, path, strlen(path));
	/* On a Unix socket this connects or fails at once; a full backlog is EAGAIN. */
	if (!connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		return fd;
	ret = -errno;
	close_fd(&fd);
	return ret;
}

static void endpoint_connect(struct vhost_dev *dev)
{
	struct endpoint *e = &dev->endpoint;
	int fd = endpoint_call(e->path);

	e->messages = dev->stats.messages;
	if (fd >= 0 && !conn_open(dev, fd))
		return;
	dev_log(dev, VHOST_LOG_DEBUG, "cannot connect to %s: %s", e->path,
		fd < 0 ? strerrordesc_np(-fd) : "out of memory");
	endpoint_next(dev);
}

/*
 * Both
 */

static void endpoint_retry(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_dev *dev = arg;

	(void)fd, (void)what;
	if (dev->endpoint.path)
		endpoint_connect(dev);
	else
		event_add(dev->endpoint.listen_ev, NULL);
}

void endpoint_next(struct vhost_dev *dev)
{
	struct endpoint *e = &dev->endpoint;

	if (e->listen_ev)
		event_add(e->listen_ev, NULL);
	if (!e->path)
		return;
	/* A front-end which has talked to us is worth an early call. */
	if (dev->stats.messages != e->messages)
		e->wait_ms = CONNECT_WAIT_MIN_MS;
	endpoint_wait(e, e->wait_ms);
	e->wait_ms = MIN(e->wait_ms * 2, CONNECT_WAIT_MAX_MS);
}

static int endpoint_watch_listen(struct vhost_dev *dev, int fd)
{
	struct event_base *base = vhost_worker_base(dev->control);
	struct endpoint *e = &dev->endpoint;
	int flags = fcntl(fd, F_GETFL);

	/* A front-end which gave up between poll and accept must not block us. */
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	e->listen_ev = event_new(base, fd, EV_READ, endpoint_accept, dev);
	e->retry_ev = event_new(base, -1, 0, endpoint_retry, dev);
	return e->listen_ev && e->retry_ev && !event_add(e->listen_ev, NULL) ? 0 : -ENOMEM;
}

int vhost_dev_listen(struct vhost_dev *dev, struct vhost_worker *control, int fd)
{
	int ret = dev_set_control(dev, control);

	if (ret) {
		close_fd(&fd);
		return ret;
	}
	dev->endpoint.listen_fd = fd;
	ret = endpoint_watch_listen(dev, fd);
	if (ret) {
		endpoint_close(dev);
		dev_clear_control(dev);
	}
	return ret;
}

int vhost_dev_attach(struct vhost_dev *dev, struct vhost_worker *control, int fd)
{
	int ret = dev_set_control(dev, control);

	if (ret) {
		close_fd(&fd);
		return ret;
	}
	ret = conn_open(dev, fd);
	if (ret)
		dev_clear_control(dev);
	return ret;
}

int vhost_dev_connect(struct vhost_dev *dev, struct vhost_worker *control, const char *path)
{
	struct endpoint *e = &dev->endpoint;
	int ret;

	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return -ENAMETOOLONG;
	ret = dev_set_control(dev, control);
	if (ret)
		return ret;
	e->retry_ev = event_new(vhost_worker_base(control), -1, 0, endpoint_retry, dev);
	e->path = strdup(path);
	if (!e->retry_ev || !e->path) {
		endpoint_close(dev);
		dev_clear_control(dev);
		return -ENOMEM;
	}
	e->wait_ms = CONNECT_WAIT_MIN_MS;
	endpoint_wait(e, 0);
	return 0;
}
