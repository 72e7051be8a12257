/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows about the life of rings, memory and connections: all of it is what front-ends do. */
#include "config.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "frontend/fe_migrate.h"
#include "tools/probe.h"
#include "util.h"

#define P(feature) FE_BIT(VU_PROTOCOL_F_##feature)

/* Requests of one step. */
#define RINGS_SOME 5u

/* How often a front-end leaves and another one comes. */
#define RINGS_VISITS 20u

/* Which ring has requests, and what its number is. */
static unsigned int rings_index(struct world *w)
{
	return world_ring(w)->index;
}

/* Running, and used a little. */
static int rings_running(struct world *w, uint64_t protocol)
{
	struct load_params p = world_params(w);
	int err;

	p.protocol = protocol;
	err = world_start(w, &p);
	return err ? err : world_requests(w, RINGS_SOME);
}

/* Used, and stopped again. */
static int rings_stopped(struct world *w, uint64_t protocol)
{
	int err = rings_running(w, protocol);

	return err ? err : load_stop(&w->l);
}

/* Once more from a stop, as fe_start() does, and it works. */
static int rings_again(struct world *w)
{
	int err = fe_start(&w->l.fe, &w->l.mem, w->l.rings, w->l.num_queues);

	return err ? load_fail(&w->l, err, "second start") : world_requests(w, RINGS_SOME);
}

/* It is of no interest to the row that this message was refused, but it may not go on. */
static int rings_said(struct world *w, int err, const char *what)
{
	return err ? load_fail(&w->l, err, "%s", what) : 0;
}

static int rings_enable(struct world *w, bool enable)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < w->l.num_queues && !err; i++)
		err = fe_set_vring_enable(&w->l.fe, i, enable);
	return rings_said(w, err, "SET_VRING_ENABLE");
}

static int rings_kick_early(struct world *w)
{
	unsigned int i;
	int err = rings_stopped(w, 0);

	for (i = 0; i < w->l.num_queues && !err; i++)
		err = rings_said(w, fe_start_ring(&w->l.fe, w->l.rings[i]), "second start");
	if (!err)
		err = world_submit(w, 1);
	if (!err)
		err = rings_said(w, fe_sync(&w->l.fe), "GET_FEATURES");
	if (!err)
		err = rings_enable(w, true);
	return err ? err : world_finish(w);
}

static int rings_no_kick(struct world *w)
{
	eventfd_t ignored;
	int err = rings_stopped(w, 0);

	if (!err)
		err = world_submit(w, 1);
	if (err)
		return err;
	/* Nobody kicks any more. */
	eventfd_read(world_ring(w)->kick_fd, &ignored);
	err = fe_start(&w->l.fe, &w->l.mem, w->l.rings, w->l.num_queues);
	err = rings_said(w, err, "second start");
	return err ? err : world_finish(w);
}

/* Put another eventfd into its place. */
static int rings_new_fd(struct world *w, int *fd, const char *what,
			int (*set)(struct fe *fe, unsigned int index, int fd))
{
	int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), err;

	if (other < 0)
		return load_fail(&w->l, -errno, "an eventfd");
	err = set(&w->l.fe, rings_index(w), other);
	close(*fd);
	*fd = other;
	return rings_said(w, err, what);
}

static int rings_new_kick(struct world *w)
{
	int err = rings_running(w, 0);

	if (!err)
		err = rings_new_fd(w, &world_ring(w)->kick_fd, "SET_VRING_KICK", fe_set_vring_kick);
	return err ? err : world_requests(w, RINGS_SOME);
}

static int rings_new_call(struct world *w)
{
	int err = rings_running(w, 0);

	if (!err)
		err = rings_new_fd(w, &world_ring(w)->call_fd, "SET_VRING_CALL", fe_set_vring_call);
	return err ? err : world_requests(w, RINGS_SOME);
}

static int rings_no_call_fd(struct world *w)
{
	int err = rings_running(w, 0);

	if (!err)
		err = rings_said(w, fe_set_vring_call(&w->l.fe, rings_index(w), -1),
				 "SET_VRING_CALL without fd");
	if (err)
		return err;
	world_ring(w)->flags |= FE_RING_POLL;
	return world_requests(w, RINGS_SOME);
}

static int rings_no_kick_fd(struct world *w)
{
	int err = rings_running(w, 0);

	if (!err)
		err = rings_said(w, fe_set_vring_kick(&w->l.fe, rings_index(w), -1),
				 "SET_VRING_KICK without fd");
	return err ? err : world_requests(w, RINGS_SOME);
}

static int rings_disabled(struct world *w)
{
	int err = rings_running(w, 0);

	if (!err)
		err = rings_enable(w, false);
	if (!err)
		err = world_submit(w, 1);
	if (!err)
		err = rings_said(w, fe_sync(&w->l.fe), "GET_FEATURES");
	if (!err)
		err = rings_enable(w, true);
	return err ? err : world_finish(w);
}

static int rings_no_protocol(struct world *w)
{
	struct load_params p = world_params(w);
	int err;

	p.no_protocol = true;
	/* A disk's size cannot be asked for. */
	p.area = 64 * 1024;
	err = world_start(w, &p);
	return err ? err : world_requests(w, RINGS_SOME);
}

static int rings_base(struct world *w)
{
	uint32_t base = 0, wanted;
	int err = rings_running(w, 0);

	if (!err)
		err = rings_enable(w, false);
	if (err)
		return err;
	wanted = fe_ring_get_base(world_ring(w));
	err = rings_said(w, fe_stop_ring(&w->l.fe, world_ring(w), &base), "GET_VRING_BASE");
	if (err)
		return err;
	if (base != wanted)
		return load_wrong(&w->l, "it says %u, and %u is right", base, wanted);
	err = load_stop(&w->l);
	return err ? err : rings_again(w);
}

static int rings_reboot(struct world *w)
{
	unsigned int i;
	int err = rings_stopped(w, 0);

	for (i = 0; i < w->l.num_queues && !err; i++)
		fe_ring_reset(w->l.rings[i], 0);
	return err ? err : rings_again(w);
}

/* As after a migration, a little before the end of what an index can count. */
static int rings_wrap(struct world *w)
{
	struct load_params p = world_params(w);
	unsigned int i;
	int err = world_open(w, &p);

	for (i = 0; i < w->l.num_queues && !err; i++)
		fe_ring_reset(w->l.rings[i], 0xfffd);
	if (!err)
		err = load_start(&w->l);
	return err ? err : world_requests(w, 2 * RINGS_SOME);
}

static int rings_features_again(struct world *w)
{
	int err = rings_running(w, 0);

	if (!err)
		err = rings_said(w, fe_set_features(&w->l.fe, w->l.fe.features), "SET_FEATURES");
	return err ? err : world_requests(w, RINGS_SOME);
}

static int rings_reset_device(struct world *w)
{
	unsigned int i;
	int err = rings_stopped(w, P(RESET_DEVICE));

	if (!err)
		err = rings_said(w, fe_reset_device(&w->l.fe), "RESET_DEVICE");
	for (i = 0; i < w->l.num_queues && !err; i++)
		fe_ring_reset(w->l.rings[i], 0);
	return err ? err : rings_again(w);
}

static int rings_reset_owner(struct world *w)
{
	int err = rings_stopped(w, 0);

	if (!err)
		err = rings_said(w, fe_reset_owner(&w->l.fe), "RESET_OWNER");
	return err ? err : rings_again(w);
}

static int rings_status(struct world *w)
{
	int err = rings_stopped(w, P(STATUS));

	return err ? err : rings_again(w);
}

static int rings_inflight(struct world *w)
{
	struct vu_inflight inflight = { .num_queues = 1 };
	int fd, err = rings_stopped(w, P(INFLIGHT_SHMFD));

	if (err)
		return err;
	inflight.num_queues = (uint16_t)w->l.num_queues;
	inflight.queue_size = (uint16_t)w->l.params.ring_size;
	err = rings_said(w, fe_get_inflight_fd(&w->l.fe, &inflight, &fd), "GET_INFLIGHT_FD");
	if (err)
		return err;
	err = rings_said(w, fe_set_inflight_fd(&w->l.fe, &inflight, fd), "SET_INFLIGHT_FD");
	close(fd);
	return err ? err : rings_again(w);
}

/*
 * Memory
 */

static int rings_memory(struct world *w)
{
	int err = rings_running(w, 0);

	if (!err)
		err = rings_said(w, fe_set_mem_table(&w->l.fe, &w->l.mem), "SET_MEM_TABLE");
	return err ? err : world_requests(w, RINGS_SOME);
}

/* With the fd, which some front-ends send along. */
static int rings_remove_with_fd(struct fe *fe, const struct fe_region *r)
{
	const struct vu_mem_reg reg = { .region = {
		.guest_addr = r->gpa, .size = r->size, .user_addr = r->uva, .mmap_offset = r->offset,
	} };

	return fe_request(fe, VU_REM_MEM_REG, &reg, sizeof(reg), &r->fd, 1);
}

static int rings_hotplug(struct world *w, struct fe_mem *more)
{
	struct fe *fe = &w->l.fe;
	int err = rings_said(w, fe_add_mem_reg(fe, more->regions), "ADD_MEM_REG");

	if (!err)
		err = world_requests(w, RINGS_SOME);
	if (!err)
		err = rings_said(w, fe_rem_mem_reg(fe, more->regions), "REM_MEM_REG");
	if (!err)
		err = rings_said(w, fe_add_mem_reg(fe, more->regions), "ADD_MEM_REG again");
	if (!err)
		err = rings_said(w, rings_remove_with_fd(fe, more->regions), "REM_MEM_REG with fd");
	return err ? err : world_requests(w, RINGS_SOME);
}

static int rings_slots(struct world *w)
{
	struct fe_mem more = { 0 };
	int err = rings_running(w, P(CONFIGURE_MEM_SLOTS));

	if (!err && fe_mem_init(&more, UINT64_C(1) << 40, 1 << 20))
		err = load_fail(&w->l, -ENOMEM, "memory");
	if (!err)
		err = rings_hotplug(w, &more);
	fe_mem_free(&more);
	return err;
}

static int rings_logged(struct world *w, struct fe_log *log)
{
	struct fe_ring *ring = world_ring(w);
	int err = fe_log_start(&w->l.fe, log, w->l.rings, w->l.num_queues);

	if (err)
		return load_fail(&w->l, err, "the beginning of logging");
	err = world_requests(w, w->l.params.depth);
	/* Only then all has to be in the log. */
	if (!err)
		err = load_stop(&w->l);
	if (err)
		return err;
	if (!fe_log_is_dirty(log, fe_mem_gpa(&w->l.mem, ring->device_area, 1)))
		return load_wrong(&w->l, "the used ring was written, and not logged");
	if (w->l.ops->disk && !fe_log_is_dirty(log, fe_mem_gpa(&w->l.mem, w->l.slots[0].data, 1)))
		return load_wrong(&w->l, "data was written, and not logged");
	return 0;
}

static int rings_log(struct world *w)
{
	struct fe_log log;
	int err = rings_running(w, P(LOG_SHMFD));

	if (!err && fe_log_init(&log, w->l.mem.regions[0].size, 0))
		return load_fail(&w->l, -ENOMEM, "the log");
	if (err)
		return err;
	err = rings_logged(w, &log);
	fe_log_free(&log);
	return err;
}

/*
 * Front-ends which come and go
 */

static int rings_second(struct world *w)
{
	struct load second;
	int err = rings_running(w, 0);

	if (err)
		return err;
	/* It may be refused, or have to wait. */
	load_connect(&second, w->probe->path, 0);
	err = world_requests(w, RINGS_SOME);
	fe_close(&second.fe);
	return err ? err : world_requests(w, RINGS_SOME);
}

static int leave_set_features(struct world *w)
{
	return fe_set_features(&w->l.fe, w->l.fe.features);
}

static int leave_memory(struct world *w)
{
	return fe_set_mem_table(&w->l.fe, &w->l.mem);
}

static int leave_num(struct world *w)
{
	return fe_set_vring_num(&w->l.fe, rings_index(w), world_ring(w)->size);
}

static int leave_base(struct world *w)
{
	return fe_set_vring_base(&w->l.fe, rings_index(w), 0);
}

static int leave_addr(struct world *w)
{
	struct vu_vring_addr addr;

	fe_ring_get_addr(world_ring(w), &addr);
	return fe_set_vring_addr(&w->l.fe, &addr);
}

static int leave_call(struct world *w)
{
	return fe_set_vring_call(&w->l.fe, rings_index(w), world_ring(w)->call_fd);
}

static int leave_err(struct world *w)
{
	return fe_set_vring_err(&w->l.fe, rings_index(w), world_ring(w)->err_fd);
}

static int leave_kick(struct world *w)
{
	return fe_set_vring_kick(&w->l.fe, rings_index(w), world_ring(w)->kick_fd);
}

static int leave_enable(struct world *w)
{
	return fe_set_vring_enable(&w->l.fe, rings_index(w), true);
}

/* A front-end leaves after each message of a start. */
static int rings_leave(struct world *w)
{
	static int (*const steps[])(struct world *w) = {
		leave_set_features, leave_memory, leave_num, leave_base, leave_addr, leave_call,
		leave_err, leave_kick, leave_enable,
	};
	const struct load_params p = world_params(w);
	size_t last, i;
	int err = 0;

	for (last = 0; last <= ARRAY_SIZE(steps) && !err; last++) {
		err = world_open(w, &p);
		for (i = 0; i < last && !err; i++)
			err = rings_said(w, steps[i](w), "the messages of a start");
	}
	return err ? err : rings_running(w, 0);
}

static int rings_leave_busy(struct world *w)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < RINGS_VISITS && !err; i++) {
		err = rings_running(w, 0);
		if (!err)
			err = world_submit(w, w->l.params.depth);
	}
	return err ? err : rings_running(w, 0);
}

const struct row rows_rings[] = {
	{ "a kick before a ring is enabled is not lost", rings_kick_early,
	  FE_BIT(VU_F_PROTOCOL_FEATURES), .requests = true },
	{ "requests made before the start are found without a kick", rings_no_kick,
	  .requests = true },
	{ "a new kick fd does not disable a ring", rings_new_kick, .requests = true },
	{ "a new call fd is signalled", rings_new_call, .requests = true },
	{ "a ring without call fd works", rings_no_call_fd, .requests = true },
	{ "a ring without kick fd is polled", rings_no_kick_fd, .requests = true },
	{ "a ring goes on after it was disabled", rings_disabled,
	  FE_BIT(VU_F_PROTOCOL_FEATURES), .requests = true },
	{ "without protocol features rings are enabled", rings_no_protocol, .requests = true },
	{ "GET_VRING_BASE tells where to go on", rings_base, .requests = true },
	{ "the used index is read again after a guest's reboot", rings_reboot, .requests = true },
	{ "indices wrap at 65536", rings_wrap, .requests = true },
	{ "the same features may come again while rings run", rings_features_again,
	  .requests = true },
	{ "the device works after RESET_DEVICE", rings_reset_device, 0, P(RESET_DEVICE),
	  .requests = true },
	{ "RESET_OWNER does not end the connection", rings_reset_owner, .requests = true },
	{ "a driver which uses the status", rings_status, 0, P(STATUS), .requests = true },
	{ "requests are served with an in-flight region", rings_inflight, 0, P(INFLIGHT_SHMFD),
	  .requests = true },
	{ "memory may be told again while rings run", rings_memory, .requests = true },
	{ "memory may come and go while rings run", rings_slots, 0, P(CONFIGURE_MEM_SLOTS),
	  .requests = true },
	{ "what is written is logged", rings_log, FE_BIT(VU_F_LOG_ALL), P(LOG_SHMFD),
	  .requests = true },
	{ "another front-end does not disturb", rings_second, .requests = true },
	{ "a front-end may leave after each message", rings_leave, .requests = true },
	{ "a front-end may leave with requests in flight", rings_leave_busy, .requests = true },
	{ NULL }
};
