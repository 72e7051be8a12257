/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages to the front-end, on the socket of SET_BACKEND_REQ_FD.
 *
 * Nothing here waits: QEMU does not read this socket while it waits for a reply on the
 * other one.  A message is put into a queue and sent as far as the socket takes it; answers
 * come in the order of the questions.  Whatever ends a message is told from an event, never
 * from within the call that queued it.
 *
 * What may come again and again is not queued but noted, each kind once: that the config space
 * has changed, that a ring has news for its driver, which translation a ring lacks.  Notes turn
 * into messages when there is room, so that a front-end which does not read costs nothing.
 *
 * While no ring runs nothing is sent ("Suspended device state"); it waits.  An error on this
 * socket ends the channel, not the session.
 */
#include "internal.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <string.h>

#define ROW(id, type, fn, ...) [VU_BACKEND_##id] = { \
		.name = #id, .size = (type), .fn_name = #fn, __VA_ARGS__ }
#define GATES(f) .gates = (f)
#define G(feature) (1u << VU_PROTOCOL_F_##feature)

const struct backend_row backend_table[VU_BACKEND_REQUEST_END] = {
	/* The acknowledgement tells that no translation will come any more. */
	ROW(IOTLB_MSG, sizeof(struct vu_iotlb), iotlb_ask, .iommu = true, .ask = true),
	ROW(CONFIG_CHANGE_MSG, 0, vhost_dev_update_config, GATES(G(CONFIG))),
	ROW(VRING_HOST_NOTIFIER_MSG, sizeof(struct vu_vring_area), vhost_dev_host_notifier,
	    .fds_max = 1, GATES(G(HOST_NOTIFIER) | G(BACKEND_SEND_FD))),
	/* Asking for an acknowledgement is what keeps a simulator's time. */
	ROW(VRING_CALL, sizeof(struct vu_vring_state), backend_ring_news, .ask = true,
	    GATES(G(INBAND_NOTIFICATIONS))),
	ROW(VRING_ERR, sizeof(struct vu_vring_state), backend_ring_news, .ask = true,
	    GATES(G(INBAND_NOTIFICATIONS))),
	ROW(SHARED_OBJECT_ADD, sizeof(struct vu_shared), vhost_dev_shared_object_add,
	    GATES(G(SHARED_OBJECT))),
	ROW(SHARED_OBJECT_REMOVE, sizeof(struct vu_shared), vhost_dev_shared_object_remove,
	    GATES(G(SHARED_OBJECT))),
	ROW(SHARED_OBJECT_LOOKUP, sizeof(struct vu_shared), vhost_dev_shared_object_lookup,
	    .answered = true, GATES(G(SHARED_OBJECT))),
	ROW(SHMEM_MAP, sizeof(struct vu_mmap), vhost_dev_shmem_map, .fds_max = 1,
	    GATES(G(SHMEM) | G(BACKEND_SEND_FD))),
	ROW(SHMEM_UNMAP, sizeof(struct vu_mmap), vhost_dev_shmem_unmap, GATES(G(SHMEM))),
};

static struct backend_out *backend_at(struct backend *b, uint64_t number)
{
	return &b->queue[number % BACKEND_QUEUE];
}

/* Whether a ring may still have something to say. */
static bool backend_may_speak(const struct vhost_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nqueues; i++) {
		if (dev->rings[i].started || dev->rings[i].live)
			return true;
	}
	return false;
}

/*
 * Sending
 */

/* Go on in an event, where callbacks may be called and the channel closed. */
static void backend_later(struct backend *b)
{
	event_active(b->write_ev, EV_WRITE, 0);
}

/* Make a message for the wire of one in the queue. */
static void backend_load(struct msg_stream *s, const struct backend_out *out)
{
	const struct backend_row *row = &backend_table[out->request];
	uint32_t flags = VU_VERSION;

	if (out->answered && !row->answered)
		flags |= VU_NEED_REPLY;
	s->msg.header = (struct vu_header){ out->request, flags, row->size };
	memcpy(s->msg.payload.bytes, &out->payload, row->size);
	s->msg.fds[0] = out->fd;
	s->msg.nfds = out->fd >= 0;
	s->done = 0;
}

/* What nobody will answer and nobody waits for needs no event to end. */
static void backend_skip_ended(struct backend *b)
{
	while (b->ended != b->sent && !backend_at(b, b->ended)->answered) {
		if (backend_at(b, b->ended)->done) {
			backend_later(b);
			return;
		}
		b->ended++;
	}
}

static void backend_flush(struct vhost_dev *dev)
{
	struct backend *b = &dev->backend;
	int ret = 0;

	while (b->sent != b->added && !b->broken && (b->out.done || backend_may_speak(dev))) {
		struct backend_out *out = backend_at(b, b->sent);

		if (!b->out.done)
			backend_load(&b->out, out);
		ret = msg_send(&b->out, b->fd);
		if (ret)
			break;
		close_fd(&out->fd);
		b->out.done = 0;
		b->sent++;
	}
	if (ret == -EAGAIN) {
		event_add(b->write_ev, NULL);
	} else if (ret) {
		b->broken = true;
		backend_later(b);
	}
	backend_skip_ended(b);
}

static bool backend_has_room(const struct backend *b)
{
	return b->added - b->ended < BACKEND_QUEUE;
}

/* Whether a message could be queued: 0, -ENOTCONN or -EAGAIN. */
static int backend_check(const struct vhost_dev *dev, uint32_t request)
{
	const struct backend_row *row = &backend_table[request];

	if (dev->backend.fd < 0 || dev->backend.broken || row->gates & ~dev->protocol_features ||
	    (row->iommu && !dev_has_iommu(dev)))
		return -ENOTCONN;
	return backend_has_room(&dev->backend) ? 0 : -EAGAIN;
}

/* Queue a message, for which backend_check() has found room, and send what can be sent. */
static void backend_add(struct vhost_dev *dev, const struct backend_out *out)
{
	const struct backend_row *row = &backend_table[out->request];
	struct backend *b = &dev->backend;
	struct backend_out *slot = backend_at(b, b->added++);

	*slot = *out;
	slot->answered = row->answered || ((row->ask || out->done) &&
					   dev_has_protocol(dev, VU_PROTOCOL_F_REPLY_ACK));
	backend_flush(dev);
}

/* The same with a copy of the caller's fd (-1: none). */
static int backend_add_fd(struct vhost_dev *dev, struct backend_out *out, int fd)
{
	int ret = backend_check(dev, out->request);

	if (ret)
		return ret;
	out->fd = -1;
	if (fd >= 0) {
		out->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (out->fd < 0)
			return -errno;
	}
	backend_add(dev, out);
	return 0;
}

/*
 * Notes
 */

/* Turn a note into a message; false: it has to stay a note. */
static bool backend_add_note(struct vhost_dev *dev, uint32_t request, unsigned int ring)
{
	struct backend_out out = { .request = request, .payload.state = { ring, 0 }, .fd = -1 };

	if (backend_check(dev, request) || !backend_may_speak(dev))
		return false;
	backend_add(dev, &out);
	return true;
}

static void backend_note_ring(struct vhost_dev *dev, unsigned int i)
{
	struct ring_setup *rs = &dev->rings[i];

	if (rs->note_call && backend_add_note(dev, VU_BACKEND_VRING_CALL, i))
		rs->note_call = false;
	if (rs->note_err && backend_add_note(dev, VU_BACKEND_VRING_ERR, i))
		rs->note_err = false;
	if (rs->miss.kind && !rs->miss.asked)
		iotlb_ask(dev, rs);
}

/* Anything which waited for room, for a channel, or for a ring to run. */
static void backend_notes(struct vhost_dev *dev)
{
	unsigned int i;

	if (dev->backend.fd < 0)
		return;
	if (dev->config_changed)
		dev->config_changed = !backend_add_note(dev, VU_BACKEND_CONFIG_CHANGE_MSG, 0);
	for (i = 0; i < dev->nqueues && backend_has_room(&dev->backend); i++)
		backend_note_ring(dev, i);
}

void backend_ring_started(struct vhost_dev *dev)
{
	if (dev->backend.fd < 0)
		return;
	backend_notes(dev);
	backend_flush(dev);
}

void backend_config_changed(struct vhost_dev *dev)
{
	const struct backend *b = &dev->backend;
	uint64_t i;

	/* One which the socket did not take yet tells this change too. */
	for (i = b->sent + !!b->out.done; i < b->added; i++) {
		if (b->queue[i % BACKEND_QUEUE].request == VU_BACKEND_CONFIG_CHANGE_MSG)
			return;
	}
	dev->config_changed = !backend_add_note(dev, VU_BACKEND_CONFIG_CHANGE_MSG, 0);
}

void backend_ring_news(struct vhost_dev *dev, unsigned int ring, bool call, bool err)
{
	struct ring_setup *rs = &dev->rings[ring];

	rs->note_call |= call;
	rs->note_err |= err;
	backend_note_ring(dev, ring);
}

int backend_ask_iotlb(struct vhost_dev *dev, uint64_t iova, uint8_t access, uint64_t *number)
{
	struct backend_out out = {
		.request = VU_BACKEND_IOTLB_MSG,
		.payload.iotlb = { .iova = iova, .size = 1, .perm = access,
				   .type = VU_IOTLB_MISS },
		.fd = -1,
	};
	int ret = backend_check(dev, out.request);

	if (ret)
		return ret;
	if (!backend_may_speak(dev))
		return -EAGAIN;
	*number = dev->backend.added;
	backend_add(dev, &out);
	return 0;
}

/*
 * Ends
 */

/* The message with the lowest number has ended. */
static void backend_end_one(struct vhost_dev *dev, int result)
{
	struct backend *b = &dev->backend;
	uint64_t number = b->ended++;
	struct backend_out out = *backend_at(b, number);

	/* A callback may queue messages, and even close the channel. */
	if (out.request == VU_BACKEND_IOTLB_MSG)
		iotlb_asked(dev, number, result);
	if (out.done)
		out.done(out.arg, result);
}

static void backend_free(struct backend *b)
{
	if (b->read_ev)
		event_free(b->read_ev);
	if (b->write_ev)
		event_free(b->write_ev);
	b->read_ev = b->write_ev = NULL;
	close_fd(&b->fd);
	msg_close_fds(&b->in.msg);
	b->in.done = b->out.done = 0;
	b->broken = false;
}

/* What the front-end has not got becomes a note again if it was one. */
static void backend_unsend(struct vhost_dev *dev, struct backend_out *out)
{
	close_fd(&out->fd);
	if (out->request == VU_BACKEND_CONFIG_CHANGE_MSG)
		dev->config_changed = true;
	else if (out->request == VU_BACKEND_VRING_CALL)
		dev->rings[out->payload.state.index].note_call = true;
	else if (out->request == VU_BACKEND_VRING_ERR)
		dev->rings[out->payload.state.index].note_err = true;
}

/* Leave a channel; its messages have still to be ended.  Returns up to where. */
static uint64_t backend_leave(struct vhost_dev *dev)
{
	struct backend *b = &dev->backend;

	backend_free(b);
	for (; b->sent != b->added; b->sent++)
		backend_unsend(dev, backend_at(b, b->sent));
	return b->added;
}

/* End the messages below end which the former channel had. */
static void backend_end_all(struct vhost_dev *dev, uint64_t end, int result)
{
	while (dev->backend.ended < end)
		backend_end_one(dev, result);
}

void backend_close(struct vhost_dev *dev)
{
	if (dev->backend.fd < 0)
		return;
	backend_end_all(dev, backend_leave(dev), -ECONNRESET);
	iotlb_channel_closed(dev);
}

static void backend_lost(struct vhost_dev *dev, const char *why)
{
	dev_log(dev, VHOST_LOG_WARN, "back-end channel closed: %s", why);
	backend_close(dev);
}

void backend_reset(struct vhost_dev *dev)
{
	struct backend_out dropped[BACKEND_QUEUE];
	struct backend *b = &dev->backend;
	unsigned int i, n = 0;
	/* One which is sent in part must be completed. */
	uint64_t keep = MIN(b->sent + !!b->out.done, b->added), k;

	for (k = keep; k != b->added; k++)
		dropped[n++] = *backend_at(b, k);
	b->added = keep;
	for (i = 0; i < n; i++) {
		close_fd(&dropped[i].fd);
		if (dropped[i].done)
			dropped[i].done(dropped[i].arg, -ECANCELED);
	}
}

/*
 * Receiving
 */

/* What is wrong with an answer to out; NULL: nothing. */
static const char *backend_check_answer(const struct msg *msg, const struct backend_out *out)
{
	bool fd_allowed = out->request == VU_BACKEND_SHARED_OBJECT_LOOKUP;

	if (msg->header.request != out->request)
		return "an answer to another message";
	if (msg->header.flags & VU_NEED_REPLY)
		return "an answer which asks for one";
	if (msg->header.size != sizeof(msg->payload.u64))
		return "an answer of wrong size";
	if (msg->nfds > fd_allowed)
		return "an answer with too many file descriptors";
	return NULL;
}

static int backend_result(struct msg *msg)
{
	if (msg->header.request != VU_BACKEND_SHARED_OBJECT_LOOKUP)
		return msg->payload.u64 ? -EIO : 0;
	/* QEMU 11 sends the fd elsewhere; then the object is as good as not there. */
	return msg->payload.u64 || !msg->nfds ? -ENOENT : msg_take_fd(msg);
}

static const char *backend_answer(struct vhost_dev *dev, struct msg *msg)
{
	struct backend *b = &dev->backend;
	const struct backend_out *out = backend_at(b, b->ended);
	const char *why;
	int result;

	if (b->ended == b->sent || !out->answered)
		return "an answer to nothing";
	why = backend_check_answer(msg, out);
	if (why)
		return why;
	result = backend_result(msg);
	/* A lookup's result is a descriptor, which needs an owner. */
	if (out->request == VU_BACKEND_SHARED_OBJECT_LOOKUP && !out->done)
		close_fd(&result);
	msg_close_fds(msg);
	b->in.done = 0;
	backend_end_one(dev, result);
	return NULL;
}

static void backend_proceed(struct vhost_dev *dev)
{
	if (dev->backend.fd < 0)
		return;
	backend_flush(dev);
	backend_notes(dev);
}

static void backend_read_event(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_dev *dev = arg;
	struct backend *b = &dev->backend;
	const char *why;
	int ret = msg_receive(&b->in, fd, &why);

	(void)what;
	if (ret == -EAGAIN)
		return;
	if (ret <= 0)
		why = why ? why : ret ? strerrordesc_np(-ret) : "by the front-end";
	else
		why = backend_answer(dev, &b->in.msg);
	if (why)
		backend_lost(dev, why);
	else
		backend_proceed(dev);
}

/* Messages without an answer have ended when they are sent; tell those who wait. */
static void backend_end_sent(struct vhost_dev *dev)
{
	struct backend *b = &dev->backend;

	while (b->ended != b->sent && !backend_at(b, b->ended)->answered)
		backend_end_one(dev, 0);
}

static void backend_write_event(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_dev *dev = arg;

	(void)fd, (void)what;
	if (dev->backend.broken) {
		backend_lost(dev, "cannot send");
		return;
	}
	backend_end_sent(dev);
	backend_proceed(dev);
}

int backend_open(struct vhost_dev *dev, int fd)
{
	struct event_base *base = vhost_worker_base(dev->control);
	struct backend *b = &dev->backend;
	/* What waits for an answer on the former channel is told when there is the new one. */
	uint64_t old = backend_leave(dev);

	b->fd = fd;
	b->in.msg.nfds = 0;
	b->in.replies = true;
	b->read_ev = event_new(base, fd, EV_READ | EV_PERSIST, backend_read_event, dev);
	b->write_ev = event_new(base, fd, EV_WRITE, backend_write_event, dev);
	if (!b->read_ev || !b->write_ev || event_add(b->read_ev, NULL)) {
		backend_close(dev);
		return -EINVAL;
	}
	backend_end_all(dev, old, -ECONNRESET);
	iotlb_channel_replaced(dev);
	backend_notes(dev);
	return 0;
}

/*
 * What a device may say
 */

static int backend_shared_object(struct vhost_dev *dev, uint32_t request, const uint8_t *uuid,
				 void (*done)(void *arg, int result), void *arg)
{
	struct backend_out out = { .request = request, .done = done, .arg = arg };

	memcpy(out.payload.shared.uuid, uuid, VU_UUID_SIZE);
	return backend_add_fd(dev, &out, -1);
}

int vhost_dev_shared_object_add(struct vhost_dev *dev, const uint8_t uuid[16])
{
	return backend_shared_object(dev, VU_BACKEND_SHARED_OBJECT_ADD, uuid, NULL, NULL);
}

int vhost_dev_shared_object_remove(struct vhost_dev *dev, const uint8_t uuid[16])
{
	return backend_shared_object(dev, VU_BACKEND_SHARED_OBJECT_REMOVE, uuid, NULL, NULL);
}

int vhost_dev_shared_object_lookup(struct vhost_dev *dev, const uint8_t uuid[16],
				   void (*done)(void *arg, int result), void *arg)
{
	return backend_shared_object(dev, VU_BACKEND_SHARED_OBJECT_LOOKUP, uuid, done, arg);
}

static int backend_shmem(struct vhost_dev *dev, struct backend_out *out,
			 const struct vhost_shmem_map *map, int fd)
{
	uint64_t size = map->id < dev->shmem_count ? dev->shmem_sizes[map->id] : 0, end;

	if (!map->len || map->offset > size || map->len > size - map->offset ||
	    add_overflows(map->fd_offset, map->len, &end))
		return -EINVAL;
	out->payload.mmap = (struct vu_mmap){
		.shmid = map->id,
		.fd_offset = map->fd_offset,
		.shm_offset = map->offset,
		.len = map->len,
		.flags = map->writable ? VU_MMAP_F_RW : 0,
	};
	return backend_add_fd(dev, out, fd);
}

int vhost_dev_shmem_map(struct vhost_dev *dev, const struct vhost_shmem_map *map,
			void (*done)(void *arg, int result), void *arg)
{
	struct backend_out out = { .request = VU_BACKEND_SHMEM_MAP, .done = done, .arg = arg };

	return map->fd < 0 ? -EINVAL : backend_shmem(dev, &out, map, map->fd);
}

int vhost_dev_shmem_unmap(struct vhost_dev *dev, const struct vhost_shmem_map *map,
			  void (*done)(void *arg, int result), void *arg)
{
	struct backend_out out = { .request = VU_BACKEND_SHMEM_UNMAP, .done = done, .arg = arg };

	return backend_shmem(dev, &out, map, -1);
}

int vhost_dev_host_notifier(struct vhost_dev *dev, unsigned int i, int fd, uint64_t offset)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct backend_out out = {
		.request = VU_BACKEND_VRING_HOST_NOTIFIER_MSG,
		.payload.area = { i | (fd < 0 ? VU_VRING_NOFD : 0), page, offset },
	};

	if (i >= dev->nqueues || offset % page)
		return -EINVAL;
	return backend_add_fd(dev, &out, fd);
}
