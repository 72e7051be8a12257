/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a back-end offers, and which messages it answers.
 *
 * Each message is sent in a form which asks for nothing unusual, the questions first.  When one
 * ends the connection, the next goes on with a new one.  What others would notice is left out:
 * packets to the network, another MTU.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "frontend/fe_migrate.h"
#include "tools/probe.h"
#include "util.h"

/* Never asked for, since they change what other messages mean. */
#define PROBE_LEFT_OUT	(FE_BIT(VU_PROTOCOL_F_INBAND_NOTIFICATIONS) | \
			 FE_BIT(VU_PROTOCOL_F_XEN_MMAP) | FE_BIT(VU_PROTOCOL_F_GPA_ADDRESSES))

/* A back-end may need a while to see that a front-end has left. */
#define PROBE_CONNECT_MS 1000

int probe_connect(const struct probe *p, struct load *l)
{
	int err = load_connect(l, p->path, PROBE_CONNECT_MS);

	l->fe.timeout_ms = p->timeout_ms;
	return err;
}

/*
 * Facts
 */

/* Once more from the beginning, without these protocol features. */
static int offer_reconnect(const struct probe *p, struct load *l, uint64_t without)
{
	uint64_t value;
	int err;

	fe_close(&l->fe);
	err = probe_connect(p, l);
	if (!err && p->facts.protocol)
		err = fe_set_protocol_features(&l->fe, p->facts.protocol &
					       ~(PROBE_LEFT_OUT | without));
	return err ? err : fe_get_features(&l->fe, &value);
}

static int offer_config(struct probe *p, struct load *l)
{
	struct probe_facts *facts = &p->facts;
	static const uint32_t sizes[] = { VU_CONFIG_MAX, 96, 72, 60, 40, 36, 24, 16, 12, 8, 4 };
	size_t i;

	/* Some know no more than their own config space, others none so large. */
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		facts->config_err = fe_get_config(&l->fe, 0, facts->config, sizes[i]);
		if (!facts->config_err)
			facts->config_len = sizes[i];
		if (facts->config_err == -ECONNRESET && !offer_reconnect(p, l, 0))
			continue;
		if (facts->config_err != -EIO)
			return facts->config_err;
	}
	return 0;
}

static int offer_ask(struct probe *p, struct load *l)
{
	struct probe_facts *facts = &p->facts;
	struct fe *fe = &l->fe;
	int err = fe_get_features(fe, &facts->features);

	if (err)
		return load_fail(l, err, "GET_FEATURES");
	if (!(facts->features & FE_BIT(VU_F_PROTOCOL_FEATURES)))
		return 0;
	err = fe_get_protocol_features(fe, &facts->protocol);
	if (err)
		return load_fail(l, err, "GET_PROTOCOL_FEATURES");
	err = fe_set_protocol_features(fe, facts->protocol & ~PROBE_LEFT_OUT);
	if (err)
		return load_fail(l, err, "SET_PROTOCOL_FEATURES");
	if (facts->protocol & FE_BIT(VU_PROTOCOL_F_MQ))
		err = fe_get_queue_num(fe, &facts->queue_num);
	if (err)
		return load_fail(l, err, "GET_QUEUE_NUM");
	if (facts->protocol & FE_BIT(VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		err = fe_get_max_mem_slots(fe, &facts->mem_slots);
	if (err)
		return load_fail(l, err, "GET_MAX_MEM_SLOTS");
	if (facts->protocol & FE_BIT(VU_PROTOCOL_F_CONFIG))
		err = offer_config(p, l);
	return err ? load_fail(l, err, "GET_CONFIG") : 0;
}

int probe_offer(struct probe *p, char why[LOAD_WHY_SIZE])
{
	struct probe_facts *facts = &p->facts;
	struct load l;
	int err = load_connect(&l, p->path, 0);

	l.fe.timeout_ms = p->timeout_ms;
	if (!err)
		err = offer_ask(p, &l);
	if (err)
		snprintf(why, LOAD_WHY_SIZE, "%s", load_why(&l));
	fe_close(&l.fe);
	if (!facts->type) {
		facts->type = name_guess_type(facts->features, facts->protocol, facts->config,
					      facts->config_len);
		facts->guessed = true;
	}
	return err;
}

/*
 * Messages
 */

/* What messages are made of. */
struct offer {
	const struct probe *probe;
	struct load l;
	struct fe_mem mem;
	struct fe_ring ring;
};

static int ask_get_features(struct offer *o)
{
	return fe_sync(&o->l.fe);
}

static int ask_get_protocol_features(struct offer *o)
{
	uint64_t value;

	return fe_get_protocol_features(&o->l.fe, &value);
}

static int ask_set_protocol_features(struct offer *o)
{
	return fe_set_protocol_features(&o->l.fe, o->probe->facts.protocol & ~PROBE_LEFT_OUT);
}

static int ask_get_queue_num(struct offer *o)
{
	uint64_t value;

	return fe_get_queue_num(&o->l.fe, &value);
}

static int ask_get_config(struct offer *o)
{
	uint8_t config[VU_CONFIG_MAX];

	return fe_get_config(&o->l.fe, 0, config, o->probe->facts.config_len);
}

static int ask_get_max_mem_slots(struct offer *o)
{
	uint64_t value;

	return fe_get_max_mem_slots(&o->l.fe, &value);
}

static int ask_get_status(struct offer *o)
{
	uint8_t status;

	return fe_get_status(&o->l.fe, &status);
}

static int ask_get_shmem_config(struct offer *o)
{
	struct vu_shmem_config config;

	return fe_get_shmem_config(&o->l.fe, &config);
}

static int ask_set_owner(struct offer *o)
{
	return fe_set_owner(&o->l.fe);
}

static int ask_set_features(struct offer *o)
{
	return fe_set_features(&o->l.fe, o->probe->facts.features &
			       (FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VU_F_PROTOCOL_FEATURES)));
}

static int ask_set_status(struct offer *o)
{
	return fe_set_status(&o->l.fe, 0);
}

static int ask_get_inflight_fd(struct offer *o)
{
	struct vu_inflight inflight = { .num_queues = 1, .queue_size = 128 };
	int fd, err = fe_get_inflight_fd(&o->l.fe, &inflight, &fd);

	if (!err)
		close(fd);
	return err;
}

static int ask_set_inflight_fd(struct offer *o)
{
	struct vu_inflight inflight = { .num_queues = 1, .queue_size = 128 };
	int fd, err = fe_get_inflight_fd(&o->l.fe, &inflight, &fd);

	if (err)
		return err;
	err = fe_set_inflight_fd(&o->l.fe, &inflight, fd);
	close(fd);
	return err;
}

static int ask_set_backend_req_fd(struct offer *o)
{
	return fe_set_backend_req_fd(&o->l.fe);
}

static int ask_set_mem_table(struct offer *o)
{
	return fe_set_mem_table(&o->l.fe, &o->mem);
}

static int ask_add_mem_reg(struct offer *o)
{
	return fe_add_mem_reg(&o->l.fe, &o->mem.regions[0]);
}

static int ask_rem_mem_reg(struct offer *o)
{
	return fe_rem_mem_reg(&o->l.fe, &o->mem.regions[0]);
}

static int ask_set_log_base(struct offer *o)
{
	struct fe_log log;
	int err = fe_log_init(&log, o->mem.regions[0].size, 0);

	if (err)
		return err;
	err = fe_log_set(&o->l.fe, &log);
	fe_log_free(&log);
	return err;
}

static int ask_set_vring_num(struct offer *o)
{
	return fe_set_vring_num(&o->l.fe, 0, o->ring.size);
}

static int ask_set_vring_base(struct offer *o)
{
	return fe_set_vring_base(&o->l.fe, 0, 0);
}

static int ask_set_vring_addr(struct offer *o)
{
	struct vu_vring_addr addr;

	fe_ring_get_addr(&o->ring, &addr);
	return fe_set_vring_addr(&o->l.fe, &addr);
}

static int ask_set_vring_call(struct offer *o)
{
	return fe_set_vring_call(&o->l.fe, 0, o->ring.call_fd);
}

static int ask_set_vring_err(struct offer *o)
{
	return fe_set_vring_err(&o->l.fe, 0, o->ring.err_fd);
}

static int ask_set_vring_kick(struct offer *o)
{
	return fe_set_vring_kick(&o->l.fe, 0, o->ring.kick_fd);
}

static int ask_set_vring_enable(struct offer *o)
{
	return fe_set_vring_enable(&o->l.fe, 0, false);
}

static int ask_get_vring_base(struct offer *o)
{
	uint32_t base;

	return fe_get_vring_base(&o->l.fe, 0, &base);
}

static int ask_reset_owner(struct offer *o)
{
	return fe_reset_owner(&o->l.fe);
}

static int ask_reset_device(struct offer *o)
{
	return fe_reset_device(&o->l.fe);
}

#define P(feature) FE_BIT(VU_PROTOCOL_F_##feature)

/* In this order: a ring is set up and stopped again.  Those without function are not sent. */
static const struct {
	uint32_t request;
	uint64_t protocol;		/* which must be offered */
	int (*ask)(struct offer *o);
	bool reply;			/* it has one of its own */
	bool bit30;			/* it exists with protocol features only */
	uint64_t without;		/* protocol features with which it does not */
} offer_table[] = {
	{ VU_GET_FEATURES, 0, ask_get_features, true },
	{ VU_GET_PROTOCOL_FEATURES, 0, ask_get_protocol_features, true, true },
	{ VU_SET_PROTOCOL_FEATURES, 0, ask_set_protocol_features, false, true },
	{ VU_GET_QUEUE_NUM, P(MQ), ask_get_queue_num, true },
	{ VU_GET_CONFIG, P(CONFIG), ask_get_config, true },
	{ VU_GET_MAX_MEM_SLOTS, P(CONFIGURE_MEM_SLOTS), ask_get_max_mem_slots, true },
	{ VU_GET_STATUS, P(STATUS), ask_get_status, true },
	{ VU_GET_SHMEM_CONFIG, P(SHMEM), ask_get_shmem_config, true },
	{ VU_SET_OWNER, 0, ask_set_owner },
	{ VU_SET_FEATURES, 0, ask_set_features },
	{ VU_SET_STATUS, P(STATUS), ask_set_status },
	{ VU_SET_BACKEND_REQ_FD, P(BACKEND_REQ), ask_set_backend_req_fd },
	{ VU_GET_INFLIGHT_FD, P(INFLIGHT_SHMFD), ask_get_inflight_fd, true },
	{ VU_SET_INFLIGHT_FD, P(INFLIGHT_SHMFD), ask_set_inflight_fd },
	{ VU_SET_LOG_BASE, P(LOG_SHMFD), ask_set_log_base },
	{ VU_SET_MEM_TABLE, 0, ask_set_mem_table, .without = P(CONFIGURE_MEM_SLOTS) },
	{ VU_ADD_MEM_REG, P(CONFIGURE_MEM_SLOTS), ask_add_mem_reg },
	{ VU_SET_VRING_CALL, 0, ask_set_vring_call },
	{ VU_SET_VRING_ERR, 0, ask_set_vring_err },
	{ VU_SET_VRING_NUM, 0, ask_set_vring_num },
	{ VU_SET_VRING_BASE, 0, ask_set_vring_base },
	{ VU_SET_VRING_ADDR, 0, ask_set_vring_addr },
	{ VU_SET_VRING_KICK, 0, ask_set_vring_kick },
	{ VU_SET_VRING_ENABLE, 0, ask_set_vring_enable, false, true },
	{ VU_GET_VRING_BASE, 0, ask_get_vring_base, true },
	{ VU_REM_MEM_REG, P(CONFIGURE_MEM_SLOTS), ask_rem_mem_reg },
	{ VU_RESET_DEVICE, P(RESET_DEVICE), ask_reset_device },
	{ VU_RESET_OWNER, 0, ask_reset_owner },
	{ VU_SEND_RARP, P(RARP) },
	{ VU_NET_SET_MTU, P(NET_MTU) },
	{ VU_SET_CONFIG, P(CONFIG) },
	{ VU_VRING_KICK, P(INBAND_NOTIFICATIONS) },
	{ VU_SET_VRING_ENDIAN, P(CROSS_ENDIAN) },
	{ VU_CREATE_CRYPTO_SESSION, P(CRYPTO_SESSION) },
	{ VU_POSTCOPY_ADVISE, P(PAGEFAULT) },
	{ VU_GET_SHARED_OBJECT, P(SHARED_OBJECT) },
	{ VU_SET_DEVICE_STATE_FD, P(DEVICE_STATE) },
	{ VU_GET_VRING_BASE_SKIP_DRAIN, P(GET_VRING_BASE_SKIP_DRAIN) },
};

/* A message and whether it has been handled, even where the back-end does not acknowledge it. */
static int offer_send(struct offer *o, size_t i)
{
	bool acks = o->l.fe.protocol_features & P(REPLY_ACK);
	int err = 0;

	if (offer_table[i].without & o->l.fe.protocol_features)
		err = offer_reconnect(o->probe, &o->l, offer_table[i].without);
	if (!err)
		err = offer_table[i].ask(o);
	return err || acks || offer_table[i].reply ? err : fe_sync(&o->l.fe);
}

static const char *offer_answer(const struct offer *o, size_t i, int err)
{
	switch (err) {
	case 0:
		if (offer_table[i].reply)
			return "answered";
		return o->l.fe.protocol_features & P(REPLY_ACK) ? "acknowledged" : "taken";
	case -EIO:
		return "refused";
	case -ECONNRESET:
		return "closes the connection";
	case -ETIMEDOUT:
		return "no answer";
	default:
		return "a wrong answer";
	}
}

static const char *offer_try(struct offer *o, size_t i)
{
	const struct probe_facts *f = &o->probe->facts;
	const char *answer;
	int err;

	if (offer_table[i].protocol & ~f->protocol)
		return "not offered";
	if (offer_table[i].bit30 && !(f->features & FE_BIT(VU_F_PROTOCOL_FEATURES)))
		return "not offered";
	if (!offer_table[i].ask)
		return "offered, not tried";
	if (offer_table[i].request == VU_GET_CONFIG && !f->config_len)
		return "refused";
	err = offer_send(o, i);
	answer = offer_answer(o, i, err);
	/* What is behind a missing or wrong answer would be misunderstood. */
	if (((err && err != -EIO) || offer_table[i].without) &&
	    offer_reconnect(o->probe, &o->l, 0))
		return NULL;
	return answer;
}

static int offer_make(struct offer *o)
{
	int err = fe_mem_init(&o->mem, 0, 1 << 20);

	return err ? err : fe_ring_init(&o->ring, &o->mem, &(struct fe_ring_params){ .size = 128 });
}

void probe_messages(struct probe *p)
{
	struct probe_facts *f = &p->facts;
	struct offer o = { .probe = p, .l.fe = { .fd = -1, .backend_fd = -1 } };
	const char *answer = NULL;
	size_t i;

	o.ring.kick_fd = o.ring.call_fd = o.ring.err_fd = -1;
	f->silent = offer_make(&o) || offer_reconnect(p, &o.l, 0);
	for (i = 0; i < ARRAY_SIZE(offer_table) && !f->silent; i++) {
		answer = offer_try(&o, i);
		f->silent = !answer;
		f->messages[f->num_messages++] = (struct probe_message){
			.request = offer_table[i].request,
			.answer = answer ? answer : "no answer any more",
		};
	}
	fe_close(&o.l.fe);
	fe_ring_free(&o.ring);
	fe_mem_free(&o.mem);
}
