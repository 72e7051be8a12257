/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests of hostile drivers have in common. */
#include "tests/proto/hostile.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Forget that the err fd was signalled. */
static void clear_err(struct fe_ring *ring)
{
	eventfd_t count;

	eventfd_read(ring->err_fd, &count);
}

static void expect_served(struct fe_ring *ring, const struct hostile_case *c)
{
	uint32_t used;
	void *cookie;

	ck_assert_msg(!fe_ring_wait(ring, FE_TIMEOUT_MS), "%s: not served", c->name);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &used), 1);
	ck_assert_msg(used == c->used, "%s: %u", c->name, used);
}

void hostile_expect_broken(struct fe_ring *ring, const char *name)
{
	ck_assert_msg(!fe_ring_wait_err(ring, FE_TIMEOUT_MS), "%s: no err", name);
	clear_err(ring);
	/* Broken is broken: a good request is not served either. */
	if (!(ring->features & FE_BIT(VIRTIO_F_RING_PACKED)))
		fe_split_set_avail_idx(ring, 1);
	fe_ring_kick_always(ring);
	ck_assert_int_eq(fe_ring_wait(ring, 5), -ETIMEDOUT);
	ck_assert(!fe_ring_ready(ring));
}

void hostile_restart(struct fe *fe, struct fe_ring *ring)
{
	uint32_t base;

	ck_assert_int_eq(fe_get_vring_base(fe, ring->index, &base), 0);
	fe_ring_reset(ring, 0);
	clear_err(ring);
	ck_assert_int_eq(fe_start_ring(fe, ring), 0);
	ck_assert_int_eq(fe_set_vring_enable(fe, ring->index, true), 0);
}

void hostile_run(const struct hostile_case *c,
		 void (*attack)(struct fe_ring *ring, const struct hostile_case *c),
		 unsigned int nworkers, uint64_t features)
{
	struct vhost_queue_stats stats;
	struct echo_rings r, r2;
	char path[64];
	struct fe next;
	struct echo e;

	snprintf(path, sizeof(path), "/tmp/libvhost-hostile-%d.sock", getpid());
	echo_start_listen(&e, nworkers, path, NULL);
	/* The next front-end waits from now on, so that no socket is left if this fails. */
	ck_assert_int_eq(fe_connect(&next, path), 0);
	unlink(path);
	echo_up(&e, &r, 2, HOSTILE_SIZE, features);
	if (nworkers && !c->fresh)
		echo_check(&r.ring[0], 100);
	attack(&r.ring[0], c);
	if (c->allowed)
		expect_served(&r.ring[0], c);
	else
		hostile_expect_broken(&r.ring[0], c->name);
	echo_check(&r.ring[1], 100);
	hostile_restart(&e.fe, &r.ring[0]);
	echo_check(&r.ring[0], 100);
	echo_check(&r.ring[1], 100);
	fe_close(&e.fe);
	echo_wait(&e.downs, 1);
	echo_stats(&e, 0, &stats);
	ck_assert_uint_eq(stats.breaks, !c->allowed);
	e.fe = next;
	echo_up(&e, &r2, 2, HOSTILE_SIZE, features);
	echo_check(&r2.ring[0], 100);
	echo_down(&e, &r2);
	echo_down(&e, &r);
	echo_stop(&e);
}
