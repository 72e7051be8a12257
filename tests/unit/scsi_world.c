/* SPDX-License-Identifier: BSD-3-Clause */
/* The device and the driver of the virtio-scsi tests. */
#include "scsi_world.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "scsi/target.h"
#include "storage/engine.h"
#include "util.h"

#define WORLD_MEM	(48u << 20)

/*
 * The gate.  The linker gives us the device's calls (--wrap).
 */

void __real_storage_submit(struct storage_chan *chan, struct storage_io *io);
void __wrap_storage_submit(struct storage_chan *chan, struct storage_io *io);
void __real_storage_commit(struct storage_chan *chan);
void __wrap_storage_commit(struct storage_chan *chan);

atomic_uint world_commits;

#define GATE_MAX	1024u

static struct gate {
	pthread_mutex_t lock;
	pthread_cond_t came;
	bool closed;
	unsigned int num;
	struct gate_io {
		struct storage_chan *chan;
		struct storage_io *io;
	} held[GATE_MAX];
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER };

static bool gate_hold(struct storage_chan *chan, struct storage_io *io)
{
	bool held;

	pthread_mutex_lock(&gate.lock);
	held = gate.closed && gate.num < GATE_MAX;
	if (held) {
		gate.held[gate.num++] = (struct gate_io){ chan, io };
		pthread_cond_broadcast(&gate.came);
	}
	pthread_mutex_unlock(&gate.lock);
	return held;
}

void __wrap_storage_submit(struct storage_chan *chan, struct storage_io *io)
{
	if (!gate_hold(chan, io))
		__real_storage_submit(chan, io);
}

void __wrap_storage_commit(struct storage_chan *chan)
{
	atomic_fetch_add(&world_commits, 1);
	__real_storage_commit(chan);
}

void gate_close(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.closed = true;
	gate.num = 0;
	pthread_mutex_unlock(&gate.lock);
}

void gate_wait(unsigned int n)
{
	struct timespec deadline;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += FE_TIMEOUT_MS / 1000;
	pthread_mutex_lock(&gate.lock);
	while (!err && gate.num < n)
		err = pthread_cond_timedwait(&gate.came, &gate.lock, &deadline);
	pthread_mutex_unlock(&gate.lock);
	ck_assert_msg(!err, "%u of %u operations have come to the gate", gate.num, n);
}

/* A channel's operations belong to its worker: each worker takes what is its own. */
static void gate_release(void *arg)
{
	struct vhost_worker *worker = arg;
	struct gate_io held[GATE_MAX];
	unsigned int i, n = 0, rest = 0;

	pthread_mutex_lock(&gate.lock);
	for (i = 0; i < gate.num; i++) {
		if (gate.held[i].chan->worker == worker)
			held[n++] = gate.held[i];
		else
			gate.held[rest++] = gate.held[i];
	}
	gate.num = rest;
	pthread_mutex_unlock(&gate.lock);
	for (i = 0; i < n; i++)
		__real_storage_submit(held[i].chan, held[i].io);
	for (i = 0; i < n; i++)
		__real_storage_commit(held[i].chan);
}

unsigned int gate_count(void)
{
	unsigned int n;

	pthread_mutex_lock(&gate.lock);
	n = gate.num;
	pthread_mutex_unlock(&gate.lock);
	return n;
}

void gate_open(struct world *w)
{
	pthread_mutex_lock(&gate.lock);
	gate.closed = false;
	pthread_mutex_unlock(&gate.lock);
	gate_pass(w);
}

void gate_pass(struct world *w)
{
	unsigned int i;

	vhost_worker_call(w->control, gate_release, w->control);
	for (i = 0; i < w->num_workers; i++)
		vhost_worker_call(w->workers[i], gate_release, w->workers[i]);
}

/*
 * Images
 */

uint8_t world_pattern(unsigned int unit, uint64_t sector)
{
	return (uint8_t)((sector + 17 * unit) % 251 + 1);
}

static void world_make_image(struct world *w, unsigned int i, unsigned int sectors, char *path)
{
	uint8_t buf[WORLD_SECTOR];
	unsigned int n;

	w->image[i] = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(w->image[i], 0);
	for (n = 0; n < sectors; n++) {
		memset(buf, world_pattern(i, n), sizeof(buf));
		ck_assert_int_eq(write(w->image[i], buf, sizeof(buf)), sizeof(buf));
	}
}

void world_check_fill(const struct world *w, unsigned int unit, uint64_t sector, uint64_t n,
		      uint8_t byte)
{
	uint8_t buf[WORLD_SECTOR];

	for (; n--; sector++) {
		ck_assert_int_eq(pread(w->image[unit], buf, sizeof(buf),
				       (off_t)(sector * sizeof(buf))), sizeof(buf));
		ck_assert_msg(buf[0] == byte && !memcmp(buf, buf + 1, sizeof(buf) - 1),
			      "sector %llu is not filled with %u", (unsigned long long)sector, byte);
	}
}

/*
 * The device
 */

static void world_open_storage(struct world *w, unsigned int i, const struct world_unit *unit)
{
	char path[] = "/tmp/test_virtio_scsi.XXXXXX", why[256] = "";
	const struct storage_params p = {
		.path = path, .read_only = unit->read_only || unit->cdrom,
	};

	world_make_image(w, i, unit->sectors, path);
	ck_assert_msg(!storage_open(&w->storage[i], &p, why, sizeof(why)), "%s", why);
	unlink(path);
}

struct world_call {
	struct world *w;
	const struct world_unit *unit;
	struct scsi_address address;
	uint64_t size;
	sem_t done;
	int ret;
};

static void world_add_unit(void *arg)
{
	struct world_call *call = arg;
	struct world *w = call->w;
	const struct scsi_lun_params p = {
		.address = { .target = call->unit->target, .lun = call->unit->lun },
		.storage = w->storage[w->num_units],
		.cdrom = call->unit->cdrom,
	};
	char why[256] = "";

	ck_assert_msg(!scsi_lun_add(virtio_scsi_target(w->scsi), &p, why, sizeof(why)), "%s", why);
}

static void world_read_pending(void *arg)
{
	struct world_call *call = arg;

	call->ret = virtio_scsi_target(call->w->scsi)->pending != 0;
}

void world_add(struct world *w, const struct world_unit *unit)
{
	struct world_call call = { .w = w, .unit = unit };
	time_t deadline = time(NULL) + FE_TIMEOUT_MS / 1000;

	ck_assert_uint_lt(w->num_units, WORLD_UNITS_MAX);
	world_open_storage(w, w->num_units, unit);
	vhost_worker_call(w->control, world_add_unit, &call);
	w->num_units++;
	do {
		ck_assert_msg(time(NULL) < deadline, "the unit does not come");
		vhost_worker_call(w->control, world_read_pending, &call);
	} while (call.ret);
}

static void world_removed(void *arg)
{
	struct world_call *call = arg;

	sem_post(&call->done);
}

static void world_remove_unit(void *arg)
{
	struct world_call *call = arg;

	call->ret = scsi_lun_remove(virtio_scsi_target(call->w->scsi), &call->address,
				    world_removed, call);
}

static void world_wait(sem_t *sem)
{
	while (sem_wait(sem) && errno == EINTR)
		;
	sem_destroy(sem);
}

int world_remove(struct world *w, uint8_t target, uint16_t lun)
{
	struct world_call call = { .w = w, .address = { .target = target, .lun = lun } };

	sem_init(&call.done, 0, 0);
	vhost_worker_call(w->control, world_remove_unit, &call);
	if (!call.ret)
		world_wait(&call.done);
	return call.ret;
}

static void world_tell_resized(void *arg)
{
	struct world_call *call = arg;

	scsi_lun_resized(virtio_scsi_target(call->w->scsi), &call->address);
}

void world_resized(struct world *w, uint8_t target, uint16_t lun)
{
	struct world_call call = { .w = w, .address = { .target = target, .lun = lun } };

	vhost_worker_call(w->control, world_tell_resized, &call);
}

static void world_resize_done(void *arg, int err)
{
	struct world_call *call = arg;

	call->ret = err;
	sem_post(&call->done);
}

static void world_start_resize(void *arg)
{
	struct world_call *call = arg;
	const struct storage_resize how = {
		.size = call->size, .control = call->w->control, .done = world_resize_done,
		.arg = call,
	};
	char why[200] = "";
	int err = scsi_lun_resize(virtio_scsi_target(call->w->scsi), &call->address, &how, why,
				  sizeof(why));

	if (err)
		world_resize_done(call, err);
}

int world_resize(struct world *w, uint8_t target, uint16_t lun, uint64_t size)
{
	struct world_call call = {
		.w = w, .address = { .target = target, .lun = lun }, .size = size,
	};

	sem_init(&call.done, 0, 0);
	vhost_worker_call(w->control, world_start_resize, &call);
	world_wait(&call.done);
	return call.ret;
}

static void world_start_workers(struct world *w, unsigned int n)
{
	ck_assert(!vhost_worker_new(&w->control, NULL));
	ck_assert(!vhost_worker_start(w->control, "control"));
	while (w->num_workers < n) {
		struct vhost_worker **worker = &w->workers[w->num_workers++];

		ck_assert(!vhost_worker_new(worker, NULL));
		ck_assert(!vhost_worker_start(*worker, "queues"));
	}
}

static void world_create(struct world *w, const struct world_params *params)
{
	struct virtio_scsi_params p = params->scsi;
	unsigned int i;

	p.control = w->control;
	p.workers = w->workers;
	p.num_workers = w->num_workers;
	p.queues = p.queues ? p.queues : 1;
	ck_assert(!virtio_scsi_new(&w->scsi, &p));
	for (i = 0; i < WORLD_UNITS_MAX && params->units[i].sectors; i++)
		world_add(w, &params->units[i]);
}

/* An abstract address which the kernel chooses: nothing to remove. */
static void world_make_socket(struct world *w)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };

	w->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(!bind(w->socket, (const struct sockaddr *)&any, sizeof(sa_family_t)));
	ck_assert(!listen(w->socket, 8));
}

static void world_listen(void *arg)
{
	struct world *w = arg;
	int fd = fcntl(w->socket, F_DUPFD_CLOEXEC, 0);

	ck_assert(!vhost_dev_listen(virtio_scsi_dev(w->scsi), w->control, fd));
}

void world_open(struct world *w, const struct world_params *params)
{
	*w = (struct world){ .fe.fd = -1 };
	world_start_workers(w, params->workers);
	world_create(w, params);
	world_make_socket(w);
	vhost_worker_call(w->control, world_listen, w);
}

static void world_stopped(struct vhost_dev *dev, void *arg)
{
	struct world_call *call = arg;

	(void)dev;
	virtio_scsi_free(call->w->scsi);
	sem_post(&call->done);
}

static void world_stop(void *arg)
{
	struct world_call *call = arg;

	vhost_dev_stop(virtio_scsi_dev(call->w->scsi), world_stopped, call);
}

void world_close(struct world *w)
{
	struct world_call call = { .w = w };

	sem_init(&call.done, 0, 0);
	vhost_worker_call(w->control, world_stop, &call);
	world_wait(&call.done);
	while (w->num_workers) {
		struct vhost_worker *worker = w->workers[--w->num_workers];

		vhost_worker_stop(worker);
		vhost_worker_free(worker);
	}
	vhost_worker_stop(w->control);
	vhost_worker_free(w->control);
	while (w->num_units) {
		storage_close(w->storage[--w->num_units]);
		close(w->image[w->num_units]);
	}
	close(w->socket);
}

/*
 * The front-end
 */

static int world_dial(const struct world *w)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert(!getsockname(w->socket, (struct sockaddr *)&addr, &len));
	ck_assert(!connect(fd, (const struct sockaddr *)&addr, len));
	return fd;
}

static void world_make_ring(struct world *w, struct fe_ring *ring, unsigned int index)
{
	const struct fe_ring_params params = {
		.index = index, .size = 256, .features = w->fe.features,
		.indirect = index < FE_SCSI_REQUEST ? 0 : 200,
	};

	ck_assert(!fe_ring_init(ring, &w->mem, &params));
	w->rings[index] = ring;
}

void world_greet(struct world *w, uint64_t features)
{
	/* The library offers transport features which frontend does not play. */
	const uint64_t library = FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_RING_F_EVENT_IDX) |
				 FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
				 FE_BIT(VU_F_PROTOCOL_FEATURES);
	const uint64_t optional = (FE_BIT(24) - 1) | FE_BIT(VIRTIO_F_RING_PACKED);
	const uint64_t protocol = FE_BIT(VU_PROTOCOL_F_MQ) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK) |
				  FE_BIT(VU_PROTOCOL_F_CONFIG) |
				  FE_BIT(VU_PROTOCOL_F_RESET_DEVICE);

	fe_attach(&w->fe, world_dial(w));
	ck_assert_int_eq(fe_negotiate(&w->fe, (features & optional) | library, protocol), 0);
}

void world_start(struct world *w, unsigned int n)
{
	unsigned int i;

	ck_assert(!fe_mem_init(&w->mem, 0x100000, WORLD_MEM));
	world_make_ring(w, &w->control_ring, FE_SCSI_CONTROL);
	world_make_ring(w, &w->event_ring, FE_SCSI_EVENT);
	for (i = 0; i < n; i++) {
		world_make_ring(w, &w->ring[i], FE_SCSI_REQUEST + i);
		ck_assert(!fe_scsi_init(&w->fs[i], &w->ring[i], WORLD_DEPTH, WORLD_DATA_MAX));
	}
	for (i = 0; i < ARRAY_SIZE(w->ctrl); i++)
		ck_assert(!fe_scsi_ctrl_init(&w->ctrl[i], &w->control_ring));
	w->events = fe_mem_alloc(&w->mem, WORLD_EVENTS * sizeof(*w->events), 64);
	w->num_rings = n;
	ck_assert_int_eq(fe_start(&w->fe, &w->mem, w->rings, FE_SCSI_REQUEST + n), 0);
}

void world_connect(struct world *w, uint64_t features, unsigned int n)
{
	world_greet(w, features);
	world_start(w, n);
}

void world_disconnect(struct world *w)
{
	unsigned int i;

	fe_close(&w->fe);
	for (i = 0; i < w->num_rings; i++)
		fe_scsi_free(&w->fs[i]);
	for (i = 0; i < FE_SCSI_REQUEST + w->num_rings; i++)
		fe_ring_free(w->rings[i]);
	fe_mem_free(&w->mem);
}

void world_up(struct world *w, const struct world_params *params, uint64_t features)
{
	const struct world_unit *u;

	world_open(w, params);
	world_connect(w, features, params->scsi.queues ? params->scsi.queues : 1);
	for (u = params->units; u < params->units + WORLD_UNITS_MAX && u->sectors; u++)
		world_take_attentions(w, u->target, u->lun, NULL, 0);
}

void world_down(struct world *w)
{
	world_disconnect(w);
	world_close(w);
}

/*
 * Requests
 */

struct fe_scsi_req *world_req(struct world *w, unsigned int ring, uint8_t target, uint16_t lun,
			      const uint8_t *cdb, size_t cdb_len)
{
	struct fe_scsi_req *req = fe_scsi_get(&w->fs[ring]);

	/* An assertion of Check's would allocate. */
	if (!req)
		ck_abort_msg("all requests are in use");
	fe_scsi_lun(req->lun, target, lun);
	memcpy(req->cdb, cdb, cdb_len);
	return req;
}

static struct fe_scsi_req *world_rw10(struct world *w, unsigned int ring, uint8_t target,
				      uint16_t lun, const uint8_t cdb[10])
{
	return world_req(w, ring, target, lun, cdb, 10);
}

struct fe_scsi_req *world_read(struct world *w, unsigned int ring, uint8_t target, uint16_t lun,
			       uint32_t lba, uint16_t blocks)
{
	struct fe_scsi_req *req = world_rw10(w, ring, target, lun, (const uint8_t[10]){
		0x28, 0, (uint8_t)(lba >> 24), (uint8_t)(lba >> 16), (uint8_t)(lba >> 8),
		(uint8_t)lba, 0, (uint8_t)(blocks >> 8), (uint8_t)blocks,
	});

	req->in_len = blocks * WORLD_SECTOR;
	return req;
}

struct fe_scsi_req *world_write(struct world *w, unsigned int ring, uint8_t target, uint16_t lun,
				uint32_t lba, uint16_t blocks, uint8_t byte)
{
	struct fe_scsi_req *req = world_rw10(w, ring, target, lun, (const uint8_t[10]){
		0x2a, 0, (uint8_t)(lba >> 24), (uint8_t)(lba >> 16), (uint8_t)(lba >> 8),
		(uint8_t)lba, 0, (uint8_t)(blocks >> 8), (uint8_t)blocks,
	});

	req->out_len = blocks * WORLD_SECTOR;
	memset(fe_scsi_out(req), byte, req->out_len);
	return req;
}

int world_test(struct world *w, uint8_t target, uint16_t lun)
{
	static const uint8_t cdb[6];
	struct fe_scsi_req *req = world_req(w, 0, target, lun, cdb, sizeof(cdb));
	struct fe_scsi_resp resp;
	int found;

	ck_assert_int_eq(fe_scsi_run(req), 0);
	resp = fe_scsi_resp(req);
	if (resp.response)
		found = -1 - resp.response;
	else
		found = resp.status << 16 |
			(resp.sense_len < 14 ? 0 : resp.sense[12] << 8 | resp.sense[13]);
	fe_scsi_put(req);
	return found;
}

unsigned int world_take_attentions(struct world *w, uint8_t target, uint16_t lun, uint16_t *codes,
				   unsigned int max)
{
	unsigned int n;
	int found;

	for (n = 0; (found = world_test(w, target, lun)) != 0; n++) {
		ck_assert_msg(found > 0 && n < 16, "unit %u:%u is not ready: %d", target, lun, found);
		if (n < max)
			codes[n] = (uint16_t)found;
	}
	return n;
}

void world_reap(struct world *w, unsigned int ring, const struct fe_scsi_req *req,
		uint8_t response, uint8_t status)
{
	struct fe_scsi_req *back;
	struct fe_scsi_resp resp;

	ck_assert_int_eq(fe_scsi_reap(&w->fs[ring], &back, FE_TIMEOUT_MS), 0);
	ck_assert_ptr_eq(back, req);
	resp = fe_scsi_resp(back);
	ck_assert_msg(resp.response == response && resp.status == status,
		      "response %u, status %u, not %u, %u", resp.response, resp.status, response,
		      status);
	fe_scsi_put(back);
}

void world_expect_alive(struct world *w, unsigned int ring, uint8_t target, uint16_t lun,
			unsigned int unit)
{
	struct fe_scsi_req *req = world_read(w, ring, target, lun, 5, 1);
	struct fe_scsi_resp resp;

	ck_assert_int_eq(fe_scsi_run(req), 0);
	resp = fe_scsi_resp(req);
	ck_assert_msg(!resp.response && !resp.status, "response %u, status %u", resp.response,
		      resp.status);
	ck_assert_uint_eq(req->used_len, sizeof(struct virtio_scsi_cmd_resp) + WORLD_SECTOR);
	ck_assert_uint_eq(fe_scsi_in(req)[0], world_pattern(unit, 5));
	ck_assert_mem_eq(fe_scsi_in(req), fe_scsi_in(req) + 1, WORLD_SECTOR - 1);
	fe_scsi_put(req);
}

/*
 * Events
 */

struct world_taken {
	struct vhost_queue *queue;
	uint64_t requests;
};

static void world_read_taken(void *arg)
{
	struct world_taken *taken = arg;
	struct vhost_queue_stats stats;

	vhost_queue_stats(taken->queue, &stats);
	taken->requests = stats.requests;
}

static uint64_t world_taken(struct world *w)
{
	struct world_taken taken = {
		.queue = vhost_dev_queue(virtio_scsi_dev(w->scsi), FE_SCSI_EVENT),
	};

	vhost_worker_call(w->control, world_read_taken, &taken);
	return taken.requests;
}

void world_put_event(struct world *w, unsigned int i, size_t len)
{
	const struct iovec in = { &w->events[i], len };
	uint64_t before = world_taken(w);
	time_t deadline = time(NULL) + FE_TIMEOUT_MS / 1000;

	memset(&w->events[i], FE_SCSI_NO_RESPONSE, sizeof(w->events[i]));
	ck_assert_int_ge(fe_ring_add(&w->event_ring, NULL, 0, &in, 1, &w->events[i]), 0);
	fe_ring_submit(&w->event_ring);
	while (world_taken(w) == before)
		ck_assert_msg(time(NULL) < deadline, "the device does not take the buffer");
}

void world_put_events(struct world *w, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		world_put_event(w, i, sizeof(w->events[i]));
}

struct virtio_scsi_event world_get_event(struct world *w)
{
	void *cookie;
	uint32_t len;

	ck_assert_int_eq(fe_ring_wait(&w->event_ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(&w->event_ring, &cookie, &len), 1);
	ck_assert_uint_eq(len, sizeof(struct virtio_scsi_event));
	return *(struct virtio_scsi_event *)cookie;
}

/*
 * Looking
 */

struct world_stats {
	struct world *w;
	unsigned int queue;
	struct virtio_scsi_stats stats;
};

static void world_read_stats(void *arg)
{
	struct world_stats *s = arg;

	virtio_scsi_stats(s->w->scsi, s->queue, &s->stats);
}

uint64_t world_malformed(struct world *w, unsigned int q)
{
	struct world_stats s = { .w = w, .queue = q };
	struct vhost_worker *worker = w->control;

	if (q >= FE_SCSI_REQUEST && w->num_workers)
		worker = w->workers[(q - FE_SCSI_REQUEST) % w->num_workers];
	vhost_worker_call(worker, world_read_stats, &s);
	return s.stats.malformed;
}
