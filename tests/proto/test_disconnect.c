/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front-end goes away after any message of a session, or in the middle of any.
 *
 * A proxy counts the messages of a complete session and cuts the next one after each
 * number of them, at several places.  Each time the device must have given back everything before
 * it takes the next front-end, whose session then is complete.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/proxy.h"
#include "tests/session.h"
#include "tests/tap.h"
#include "util.h"

/* How much of the message in which it is cut arrives; half of the header, the header, all but 1. */
static const size_t cuts[] = { 0, 1, 6, sizeof(struct vu_header), sizeof(struct vu_header) + 5 };

struct shape {
	unsigned int workers;
	bool no_ack;
	bool packed;
	bool iommu;
};

static const struct shape shapes[] = {
	{ 0, false, false },
	{ 2, true, false },
	{ 1, false, true },
	{ 0, true, true },
	{ 1, false, false, true },
};

struct world {
	struct echo e;
	char path[64];
	const struct shape *shape;
	unsigned int sessions;		/* so far */
	int idle_fds;			/* open fds while nobody is connected */
};

/*
 * The device: it keeps some requests until their queue stops, and offers all that it can.
 */

static void world_kick(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);
	unsigned int i = vhost_queue_index(q);
	struct vhost_req *req;

	while (vhost_queue_pop(q, &req, 1)) {
		if (req->out_len == SESSION_HELD)
			e->held[i][e->nheld[i]++] = req;
		else
			echo_complete(e, req);
	}
}

static void world_queue_stop(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);
	unsigned int i = vhost_queue_index(q);

	while (e->nheld[i])
		echo_complete(e, e->held[i][--e->nheld[i]]);
}

static int world_save(struct vhost_dev *dev, void **buf, size_t *len)
{
	(void)dev;
	*len = 100000;
	*buf = calloc(1, *len);
	return *buf ? 0 : -ENOMEM;
}

static int world_load(struct vhost_dev *dev, const void *buf, size_t len)
{
	(void)dev, (void)buf;
	return len == 100000 ? 0 : -EINVAL;
}

static void world_device(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	ops->kick = world_kick;
	ops->queue_stop = world_queue_stop;
	ops->save = world_save;
	ops->load = world_load;
	params->flags |= VHOST_DEV_IOMMU | VHOST_DEV_INBAND | VHOST_DEV_IN_ORDER |
			 VHOST_DEV_HOST_NOTIFIER;
}

/* Run a session which is cut after so many messages.  Its result, and how many there were. */
static int world_session(struct world *w, unsigned int after, size_t bytes, unsigned int *messages)
{
	const struct session_params params = {
		.features = FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			    FE_BIT(VIRTIO_RING_F_EVENT_IDX) |
			    (w->shape->packed ? FE_BIT(VIRTIO_F_RING_PACKED) : 0) |
			    (w->shape->iommu ? FE_BIT(VIRTIO_F_ACCESS_PLATFORM) : 0),
		.ring_size = 8, .no_ack = w->shape->no_ack, .hold = true, .gpa = 0x100000, .mem_size = 1 << 20,
	};
	struct proxy p = { .cut_after = after, .cut_bytes = bytes };
	struct fe to_device, to_proxy;
	int err;

	ck_assert_int_eq(fe_connect(&to_device, w->path), 0);
	p.back_fd = to_device.fd;
	ck_assert_int_eq(fe_pair(&to_proxy, &p.front_fd), 0);
	ck_assert_int_eq(proxy_start(&p), 0);
	err = session_run(&params, to_proxy.fd);
	proxy_join(&p);
	*messages = p.messages;
	w->sessions++;
	return err;
}

/* The device has nothing more of that session. */
static void world_check_idle(struct world *w)
{
	echo_wait(&w->e.downs, w->sessions);
	ck_assert_uint_eq(atomic_load(&w->e.maps), atomic_load(&w->e.unmaps));
	ck_assert_int_eq(echo_count_fds(), w->idle_fds);
}

static void world_start(struct world *w, const struct shape *shape)
{
	memset(w, 0, sizeof(*w));
	w->shape = shape;
	snprintf(w->path, sizeof(w->path), "/tmp/libvhost-disconnect-%d.sock", (int)getpid());
	echo_start_listen(&w->e, shape->workers, w->path, world_device);
	fe_close(&w->e.fe);
	w->sessions = 1;
	echo_wait(&w->e.downs, 1);
	w->idle_fds = echo_count_fds();
}

static void world_stop(struct world *w)
{
	echo_stop(&w->e);
	unlink(w->path);
}

/* proves: msg.front-end-gone, msg.end-within */
START_TEST(any_message)
{
	unsigned int total, messages, i, c;
	static struct world w;
	int err;

	world_start(&w, &shapes[_i]);
	err = world_session(&w, PROXY_NEVER, 0, &total);
	ck_assert_int_eq(err, 0);
	world_check_idle(&w);
	printf("# %u messages\n", total);
	ck_assert_uint_gt(total, 30);
	for (i = 0; i < total; i++) {
		for (c = 0; c < ARRAY_SIZE(cuts); c++) {
			err = world_session(&w, i, cuts[c], &messages);
			ck_assert_msg(err, "cut after %u of %u messages: all went well", i, total);
			ck_assert_uint_eq(messages, i);
			world_check_idle(&w);
		}
		err = world_session(&w, PROXY_NEVER, 0, &messages);
		ck_assert_msg(!err, "the session after a cut after %u messages: %s", i,
			      strerrorname_np(-err));
		ck_assert_uint_eq(messages, total);
		world_check_idle(&w);
	}
	world_stop(&w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("disconnect");
	TCase *tc = tcase_create("disconnect");

	tcase_set_timeout(tc, 600);
	tcase_add_loop_test(tc, any_message, 0, ARRAY_SIZE(shapes));
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
