/* SPDX-License-Identifier: BSD-3-Clause */
/* A vhost-user-rng device: random bytes for a guest, from a socket.  Usage: rng SOCKET */
#include <errno.h>
#include <event2/event.h>
#include <libvhost.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static void rng_kick(struct vhost_queue *q)
{
	struct vhost_req *req;
	char buf[256];

	while (vhost_queue_pop(q, &req, 1)) {
		size_t want = req->in_len < sizeof(buf) ? req->in_len : sizeof(buf);
		ssize_t n = getrandom(buf, want, 0);

		vhost_req_push(req, vhost_req_write(req, 0, buf, n > 0 ? (size_t)n : 0));
	}
}

static void rng_stopped(struct vhost_dev *dev, void *worker)
{
	(void)dev;
	vhost_worker_stop(worker);
}

static void rng_signal(evutil_socket_t sig, short what, void *dev)
{
	(void)sig, (void)what;
	vhost_dev_stop(dev, rng_stopped, vhost_queue_worker(vhost_dev_queue(dev, 0)));
}

int main(int argc, char **argv)
{
	const struct vhost_dev_ops ops = { .kick = rng_kick };
	int fd = argc == 2 ? vhost_listen_unix(argv[1], 0600) : -EINVAL, ret = fd;
	struct vhost_worker *worker;
	struct vhost_dev *dev;
	struct event *term;

	if (fd < 0 || (ret = vhost_worker_new(&worker, NULL)) ||
	    (ret = vhost_dev_new(&dev, &ops, &(struct vhost_dev_params){ .name = "rng" }, NULL)) ||
	    (ret = vhost_dev_listen(dev, worker, fd))) {
		fprintf(stderr, "usage: rng SOCKET: %s\n", strerror(-ret));
		return 1;
	}
	term = evsignal_new(vhost_worker_base(worker), SIGTERM, rng_signal, dev);
	event_add(term, NULL);
	ret = vhost_worker_run(worker);
	event_free(term);
	vhost_dev_free(dev);
	vhost_worker_free(worker);
	unlink(argv[1]);
	return ret ? 1 : 0;
}
