/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device to start from: a config space, two queues, requests which take a while, and events.
 * Usage: template SOCKET
 *
 * It does nothing useful, in the way in which devices usually do something useful:
 *
 *   queue 0   requests: a header and a text; the text comes back in upper case, at once or later
 *   queue 1   events: empty buffers of the driver, one of which is filled when something happens,
 *             which here is: the driver has written to the config space
 *
 * The main thread is the control worker: it speaks with the front-end.  A second worker,
 * with a thread of its own, serves both queues.
 */
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <libvhost.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * What the driver sees.  All integers are little endian: whoever offers no legacy
 * devices has VIRTIO_F_VERSION_1 in common with the driver.
 */

#define TEXT_MAX 128
#define DELAY_MAX 1000				/* ms */

enum { QUEUE_REQUESTS, QUEUE_EVENTS, QUEUES };

/* One feature bit of our own: the driver may ask for a delay. */
#define TEMPLATE_F_DELAY 0

struct template_config {
	uint32_t text_max;			/* read only */
	uint32_t color;				/* the driver may write it, as a whole */
};

/* The beginning of a request; the text follows. */
struct template_hdr {
	uint32_t delay;				/* ms */
};

struct template_event {
	uint32_t color;				/* what was written */
};

/* The device.  Each field has one worker which may touch it. */
struct template {
	struct vhost_dev *dev;
	struct vhost_worker *control, *worker;

	/* on the queues' worker */
	unsigned int events;			/* which wait for a buffer of the driver */
	uint32_t color;				/* of the last one */
};

/* Our part of each request, in the place which params.req_priv has made for it. */
struct template_req {
	struct event timer;
	char text[TEXT_MAX];
	size_t len;				/* of text */
};

/*
 * Queue 0: requests
 */

static void request_done(struct vhost_req *req)
{
	struct template_req *own = req->priv;

	/* The driver learns how much was written: what there was room for. */
	vhost_req_push(req, vhost_req_write(req, 0, own->text, own->len));
}

static void request_timer(evutil_socket_t fd, short what, void *req)
{
	(void)fd, (void)what;
	request_done(req);
}

static void request_begin(struct template *t, struct vhost_req *req)
{
	struct template_req *own = req->priv;
	struct timeval delay = { 0 };
	struct template_hdr hdr;
	size_t i;

	/*
	 * Copy first, then check: the guest can change its memory at any time.  Where the
	 * borders of the descriptors are means nothing (VIRTIO 2.7.4), so do not look at req->out.
	 */
	if (vhost_req_read(req, 0, &hdr, sizeof(hdr)) != sizeof(hdr)) {
		vhost_queue_fail(req->queue, "a request of %zu bytes has no header", req->out_len);
		vhost_req_push(req, 0);
		return;
	}
	own->len = vhost_req_read(req, sizeof(hdr), own->text, sizeof(own->text));
	for (i = 0; i < own->len; i++)
		own->text[i] = (char)toupper((unsigned char)own->text[i]);

	hdr.delay = le32toh(hdr.delay);
	if (hdr.delay > DELAY_MAX)
		hdr.delay = DELAY_MAX;
	if (!hdr.delay || !(vhost_dev_features(t->dev) & UINT64_C(1) << TEMPLATE_F_DELAY)) {
		request_done(req);
		return;
	}
	/* Later: the request is ours until we push it, and others go on meanwhile. */
	delay.tv_usec = (suseconds_t)hdr.delay * 1000 % 1000000;
	delay.tv_sec = hdr.delay / 1000;
	evtimer_assign(&own->timer, vhost_worker_base(t->worker), request_timer, req);
	evtimer_add(&own->timer, &delay);
}

/*
 * Queue 1: events
 */

/* What has happened and what there are buffers for.  Without a buffer an event has to wait. */
static void events_send(struct template *t, struct vhost_queue *q)
{
	struct template_event event = { htole32(t->color) };
	struct vhost_req *req;

	while (t->events && vhost_queue_pop(q, &req, 1)) {
		t->events--;
		vhost_req_push(req, vhost_req_write(req, 0, &event, sizeof(event)));
	}
}

/* What template_set_config() hands over to the queues' worker. */
struct color_call {
	struct template *t;
	uint32_t color;
};

static void color_changed(void *arg)
{
	struct color_call *call = arg;

	call->t->color = call->color;
	call->t->events++;
	events_send(call->t, vhost_dev_queue(call->t->dev, QUEUE_EVENTS));
}

/*
 * What the library calls, on the queues' worker
 */

/* Pop until there is nothing more; then the library calls again when there is. */
static void template_kick(struct vhost_queue *q)
{
	struct template *t = vhost_queue_opaque(q);
	struct vhost_req *reqs[16];
	unsigned int i, n;

	if (vhost_queue_index(q) == QUEUE_EVENTS) {
		events_send(t, q);
		return;
	}
	do {
		n = vhost_queue_pop(q, reqs, 16);
		for (i = 0; i < n; i++)
			request_begin(t, reqs[i]);
	} while (n == 16);
}

/*
 * There is no queue_stop: all our requests end by themselves, and soon.  A device whose requests
 * may wait for ever gives them back there, by vhost_queue_unpop() or vhost_req_push().
 */

/*
 * What the library calls, on the control worker
 */

/* The library has checked that the range lies within the config space. */
static int template_set_config(struct vhost_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	struct color_call call = { .t = vhost_dev_opaque(dev) };

	if (off != offsetof(struct template_config, color) || len != sizeof(call.color))
		return -EINVAL;
	memcpy(&call.color, buf, len);
	call.color = le32toh(call.color);
	/* Another worker's affair: let it be done there. */
	vhost_worker_call(call.t->worker, color_changed, &call);
	return 0;
}

static void forget_events(void *arg)
{
	((struct template *)arg)->events = 0;
}

/* A new driver, or a new front-end: nothing of the old one may be left. */
static void template_reset(struct vhost_dev *dev)
{
	struct template *t = vhost_dev_opaque(dev);

	vhost_worker_call(t->worker, forget_events, t);
}

static const struct vhost_dev_ops template_ops = {
	.kick = template_kick,
	.set_config = template_set_config,
	.reset = template_reset,
};

/*
 * The program
 */

static void print_log(void *arg, enum vhost_log_level level, const char *line)
{
	(void)arg;
	if (level <= VHOST_LOG_INFO)
		fprintf(stderr, "%s\n", line);
}

/* A front-end which truncates the memory it shares with us loses its device, not us our life. */
static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!vhost_mem_fault(info->si_addr))
		signal(sig, SIG_DFL);		/* not guest memory: it comes again, and is fatal */
}

static void stopped(struct vhost_dev *dev, void *arg)
{
	struct template *t = arg;

	(void)dev;
	vhost_worker_stop(t->control);
}

static void on_sigterm(evutil_socket_t sig, short what, void *arg)
{
	struct template *t = arg;

	(void)sig, (void)what;
	vhost_dev_stop(t->dev, stopped, t);
}

static int template_run(struct template *t)
{
	struct event *term = evsignal_new(vhost_worker_base(t->control), SIGTERM, on_sigterm, t);
	int ret = -ENOMEM;

	if (term && !event_add(term, NULL))
		ret = vhost_worker_start(t->worker, "template-queues");
	if (!ret)
		ret = vhost_worker_run(t->control);
	vhost_worker_stop(t->worker);
	if (term)
		event_free(term);
	return ret;
}

/* What was made is in *t, also when this fails. */
static int template_make(struct template *t, const char *path)
{
	const struct template_config config = { .text_max = htole32(TEXT_MAX) };
	const struct vhost_dev_params params = {
		.name = "template",
		.features = UINT64_C(1) << TEMPLATE_F_DELAY,
		.queues = QUEUES,
		.config = &config,
		.config_len = sizeof(config),
		.req_priv = sizeof(struct template_req),
	};
	int ret = vhost_worker_new(&t->control, NULL);

	if (!ret)
		ret = vhost_worker_new(&t->worker, NULL);
	if (!ret)
		ret = vhost_dev_new(&t->dev, &template_ops, &params, t);
	if (!ret)
		ret = vhost_dev_bind(t->dev, &t->worker, 1);
	if (!ret)
		ret = vhost_listen_unix(path, 0600);
	if (ret >= 0)
		ret = vhost_dev_listen(t->dev, t->control, ret);
	return ret;
}

int main(int argc, char **argv)
{
	struct sigaction bus = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	struct template t = { 0 };
	int ret;

	if (argc != 2) {
		fprintf(stderr, "usage: template SOCKET\n");
		return 2;
	}
	sigaction(SIGBUS, &bus, NULL);
	vhost_set_log(print_log, NULL);
	ret = template_make(&t, argv[1]);
	if (!ret) {
		ret = template_run(&t);
		unlink(argv[1]);
	}
	if (ret)
		fprintf(stderr, "template: %s\n", strerror(-ret));
	if (t.dev)
		vhost_dev_free(t.dev);
	if (t.worker)
		vhost_worker_free(t.worker);
	if (t.control)
		vhost_worker_free(t.control);
	return ret ? 1 : 0;
}
