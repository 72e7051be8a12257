/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows about questions and answers: nothing is started, nothing is wrong. */
#include "config.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/fe_migrate.h"
#include "tools/probe.h"
#include "util.h"

#define P(feature) FE_BIT(VU_PROTOCOL_F_##feature)

static int offer_same(struct world *w)
{
	uint64_t first = w->probe->facts.features, again;
	int i, err = world_connect(w);

	for (i = 0; i < 2 && !err; i++) {
		err = fe_get_features(&w->l.fe, &again);
		if (err)
			return load_fail(&w->l, err, "GET_FEATURES");
		if (again != first)
			return load_wrong(&w->l, "0x%llx, and later 0x%llx",
					  (unsigned long long)first, (unsigned long long)again);
	}
	return err;
}

static int offer_version_1(struct world *w)
{
	(void)w;
	return 0;
}

/* Send a request with these flags, and expect the reply to be one. */
static int offer_reply_flags(struct world *w)
{
	const struct vu_header hdr = {
		.request = VU_GET_FEATURES, .flags = VU_VERSION | VU_NEED_REPLY,
	};
	struct fe_msg reply;
	int err = world_connect(w);

	if (!err)
		err = fe_send_raw(&w->l.fe, &hdr, NULL, 0, NULL, 0);
	if (!err)
		err = fe_recv_raw(&w->l.fe, &reply);
	if (err)
		return load_fail(&w->l, err, "GET_FEATURES which asks for a reply");
	fe_msg_close(&reply);
	if (reply.hdr.flags != (VU_VERSION | VU_REPLY))
		return load_wrong(&w->l, "the flags of the reply are 0x%x", reply.hdr.flags);
	return 0;
}

static int offer_pieces(struct world *w)
{
	const struct vu_header hdr = { .request = VU_GET_FEATURES, .flags = VU_VERSION };
	const uint8_t *bytes = (const uint8_t *)&hdr;
	struct fe_msg reply;
	int err = world_connect(w);
	size_t i;

	for (i = 0; i < sizeof(hdr) && !err; i++)
		err = fe_send_bytes(&w->l.fe, bytes + i, 1, NULL, 0);
	if (!err)
		err = fe_recv_raw(&w->l.fe, &reply);
	if (err)
		return load_fail(&w->l, err, "a message which comes byte by byte");
	fe_msg_close(&reply);
	return reply.hdr.request == VU_GET_FEATURES ? 0 : load_wrong(&w->l, "another reply came");
}

static int offer_acks(struct world *w)
{
	int i, err = world_negotiate(w, 0);

	for (i = 0; i < 2 && !err; i++) {
		err = fe_set_owner(&w->l.fe);
		if (err)
			return load_fail(&w->l, err, "SET_OWNER");
	}
	/* A reply which nobody asked for would be taken for that of the next message. */
	w->l.fe.no_ack = true;
	if (!err)
		err = fe_set_owner(&w->l.fe);
	if (!err)
		err = fe_sync(&w->l.fe);
	return err ? load_fail(&w->l, err, "a message which asks for no reply") : 0;
}

static int offer_queues(struct world *w)
{
	return w->probe->facts.queue_num ? 0 : load_wrong(&w->l, "there are 0 queues, it says");
}

static int offer_slots(struct world *w)
{
	return w->probe->facts.mem_slots ? 0 : load_wrong(&w->l, "there are 0 slots, it says");
}

static int offer_config_pieces(struct world *w)
{
	const struct probe_facts *f = &w->probe->facts;
	uint32_t size, off;
	uint8_t part[4];
	int err = world_negotiate(w, P(CONFIG));

	if (!f->config_len)
		return err ? err : ROW_SKIP;
	for (size = 1; size <= 4 && !err; size++)
		for (off = 0; off + size <= MIN(f->config_len, 8u) && !err; off += size) {
			err = fe_get_config(&w->l.fe, off, part, size);
			if (err)
				return load_fail(&w->l, err, "%u bytes at %u", size, off);
			if (memcmp(part, f->config + off, size))
				return load_wrong(&w->l, "%u bytes at %u are other ones than in "
						  "the whole", size, off);
		}
	return err;
}

static int offer_status(struct world *w)
{
	const uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	uint8_t found = 0;
	int err = world_negotiate(w, P(STATUS));

	if (!err)
		err = fe_set_status(&w->l.fe, status);
	if (!err)
		err = fe_get_status(&w->l.fe, &found);
	if (!err && (found & status) != status)
		return load_wrong(&w->l, "it was set to 0x%x and is 0x%x", status, found);
	if (!err)
		err = fe_set_status(&w->l.fe, 0);
	return err ? load_fail(&w->l, err, "the status") : 0;
}

static int offer_channel(struct world *w)
{
	int err = world_negotiate(w, P(BACKEND_REQ) | P(BACKEND_SEND_FD));

	/* The second replaces the first. */
	if (!err)
		err = fe_set_backend_req_fd(&w->l.fe);
	if (!err)
		err = fe_sync(&w->l.fe);
	return err ? load_fail(&w->l, err, "SET_BACKEND_REQ_FD") : 0;
}

static int offer_inflight(struct world *w)
{
	struct vu_inflight inflight = { .num_queues = 1, .queue_size = 128 };
	struct stat st;
	int fd, err = world_negotiate(w, P(INFLIGHT_SHMFD));

	if (err)
		return err;
	err = fe_get_inflight_fd(&w->l.fe, &inflight, &fd);
	if (err)
		return load_fail(&w->l, err, "GET_INFLIGHT_FD");
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size < inflight.mmap_size)
		err = load_wrong(&w->l, "the file is smaller than it says");
	if (!err)
		err = fe_set_inflight_fd(&w->l.fe, &inflight, fd);
	if (err == -EIO || err == -ECONNRESET)
		err = load_fail(&w->l, err, "SET_INFLIGHT_FD with what it gave");
	close(fd);
	return err;
}

const struct row rows_offer[] = {
	{ "features are the same each time", offer_same },
	{ "VIRTIO 1 is offered", offer_version_1, FE_BIT(VIRTIO_F_VERSION_1) },
	{ "a reply has the flags of a reply only", offer_reply_flags },
	{ "a message may come byte by byte", offer_pieces },
	{ "acknowledgements come when asked for, and only then", offer_acks, 0, P(REPLY_ACK) },
	{ "there are queues", offer_queues, 0, P(MQ) },
	{ "there are memory slots", offer_slots, 0, P(CONFIGURE_MEM_SLOTS) },
	{ "config space can be read in pieces", offer_config_pieces, 0, P(CONFIG) },
	{ "the status is kept", offer_status, 0, P(STATUS) },
	{ "the back-end channel can be replaced", offer_channel, 0, P(BACKEND_REQ) },
	{ "an in-flight region is given and taken back", offer_inflight, 0, P(INFLIGHT_SHMFD) },
	{ NULL }
};
