/* SPDX-License-Identifier: BSD-3-Clause */
/* What rows are made of: connections, requests, refusals. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tools/probe.h"
#include "util.h"

void world_close(struct world *w)
{
	load_close(&w->l);
	w->negotiated = false;
}

int world_connect(struct world *w)
{
	world_close(w);
	return probe_connect(w->probe, &w->l);
}

int world_negotiate(struct world *w, uint64_t protocol)
{
	const struct probe_facts *f = &w->probe->facts;
	int err = world_connect(w);

	if (err)
		return err;
	err = fe_negotiate(&w->l.fe, FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1),
			   f->protocol & (protocol | FE_BIT(VU_PROTOCOL_F_MQ) |
					  FE_BIT(VU_PROTOCOL_F_REPLY_ACK)));
	w->negotiated = !err;
	return err ? load_fail(&w->l, err, "negotiation") : 0;
}

/*
 * Requests
 */

struct load_params world_params(const struct world *w)
{
	return (struct load_params){
		.queues = 1, .depth = 8, .rw = LOAD_RANDREAD, .dir = LOAD_TX,
		.features_maybe = FE_BIT(VIRTIO_RING_F_EVENT_IDX),
		.timeout_ms = w->probe->timeout_ms,
	};
}

int world_open(struct world *w, const struct load_params *params)
{
	int err = world_connect(w);

	return err ? err : load_open(&w->l, load_find(w->probe->facts.type->name), params);
}

int world_start(struct world *w, const struct load_params *params)
{
	int err = world_open(w, params);

	return err ? err : load_start(&w->l);
}

int world_submit(struct world *w, unsigned int n)
{
	return load_begin(&w->l, n);
}

int world_finish(struct world *w)
{
	int err = load_drive(&w->l, UINT64_MAX);

	return err;
}

int world_requests(struct world *w, unsigned int n)
{
	int err = world_submit(w, n);

	return err ? err : world_finish(w);
}

struct fe_ring *world_ring(struct world *w)
{
	return w->l.waited[0];
}

/*
 * Refusals
 */

int world_refused(struct world *w, int err, const char *fmt, ...)
{
	bool acks = w->l.fe.protocol_features & FE_BIT(VU_PROTOCOL_F_REPLY_ACK);
	char what[LOAD_WHY_SIZE / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	/* Without an answer, the end of the connection is all that could tell. */
	if (!err && !acks)
		err = fe_sync(&w->l.fe);
	if (!err && acks)
		return load_wrong(&w->l, "%s was accepted", what);
	if (!err || err == -EIO || err == -ECONNRESET)
		return 0;
	return load_fail(&w->l, err, "%s", what);
}

int world_bad(struct world *w, const struct world_message *m)
{
	int err = 0;

	if (!w->negotiated || fe_sync(&w->l.fe))
		err = world_negotiate(w, ~UINT64_C(0));
	if (err)
		return err;
	err = fe_request(&w->l.fe, m->request, m->payload, m->size, m->fds, m->nfds);
	return world_refused(w, err, "%s", m->name);
}

int world_alive(struct world *w)
{
	int err = world_connect(w);

	if (err)
		return err;
	err = fe_sync(&w->l.fe);
	return err ? load_fail(&w->l, err, "afterwards") : 0;
}

int world_open_files(struct world *w)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	char path[32];
	int n = 0;
	DIR *dir;

	if (getsockopt(w->l.fe.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)peer.pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
