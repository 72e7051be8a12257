/* SPDX-License-Identifier: BSD-3-Clause */
/* The disk of the virtio-blk tests. */
#include "disk.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DISK_MEM	(32u << 20)

/*
 * The linker gives us the device's calls (--wrap).
 */

struct spy spy;

void __real_storage_submit(struct storage_chan *chan, struct storage_io *io);
void __wrap_storage_submit(struct storage_chan *chan, struct storage_io *io);
void __real_storage_commit(struct storage_chan *chan);
void __wrap_storage_commit(struct storage_chan *chan);

void __wrap_storage_submit(struct storage_chan *chan, struct storage_io *io)
{
	void (*hook)(struct storage_io *io) = atomic_load(&spy.hook);

	atomic_store(&spy.flags, io->flags);
	atomic_fetch_add(&spy.submits, 1);
	if (atomic_fetch_add(&spy.run, 1) == atomic_load(&spy.run_max))
		atomic_fetch_add(&spy.run_max, 1);
	if (hook)
		hook(io);
	__real_storage_submit(chan, io);
}

void __wrap_storage_commit(struct storage_chan *chan)
{
	atomic_store(&spy.run, 0);
	__real_storage_commit(chan);
}

/*
 * The image
 */

uint8_t disk_pattern(uint64_t sector)
{
	return (uint8_t)(sector % 251 + 1);
}

static void disk_make_image(struct disk *d, char *path)
{
	uint8_t buf[FE_BLK_SECTOR];
	uint64_t i;

	d->image = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(d->image, 0);
	for (i = 0; i < d->sectors; i++) {
		memset(buf, disk_pattern(i), sizeof(buf));
		ck_assert_int_eq(write(d->image, buf, sizeof(buf)), sizeof(buf));
	}
}

static void disk_check_sector(const struct disk *d, uint64_t sector, uint8_t byte)
{
	uint8_t buf[FE_BLK_SECTOR];

	ck_assert_int_eq(pread(d->image, buf, sizeof(buf), (off_t)(sector * sizeof(buf))),
			 sizeof(buf));
	ck_assert_msg(buf[0] == byte && !memcmp(buf, buf + 1, sizeof(buf) - 1),
		      "sector %llu is not filled with %u", (unsigned long long)sector, byte);
}

void disk_check_old(const struct disk *d, uint64_t sector, uint64_t n)
{
	for (; n--; sector++)
		disk_check_sector(d, sector, disk_pattern(sector));
}

void disk_check_fill(const struct disk *d, uint64_t sector, uint64_t n, uint8_t byte)
{
	for (; n--; sector++)
		disk_check_sector(d, sector, byte);
}

/*
 * The device
 */

static void disk_io_error(void *arg, struct vhost_queue *q, const struct storage_io *io, int err)
{
	struct disk *d = arg;

	ck_assert(io->done && err < 0 && vhost_queue_outstanding(q));
	atomic_fetch_add(&d->io_errors, 1);
}

static void disk_open_storage(struct disk *d, const struct disk_params *params)
{
	struct storage_params p = params->storage;
	char path[] = "/tmp/test_virtio_blk.XXXXXX", why[256] = "";
	bool null = p.engine == STORAGE_ENGINE_NULL;

	d->image = -1;
	d->sectors = params->sectors ? params->sectors : DISK_SECTORS;
	if (null)
		p.size = d->sectors * FE_BLK_SECTOR;
	else
		disk_make_image(d, path);
	p.path = null ? NULL : path;
	ck_assert_msg(!storage_open(&d->storage, &p, why, sizeof(why)), "%s", why);
	if (!null)
		unlink(path);
}

static void disk_start_workers(struct disk *d, unsigned int n)
{
	ck_assert(!vhost_worker_new(&d->control, NULL));
	ck_assert(!vhost_worker_start(d->control, "control"));
	while (d->num_workers < n) {
		struct vhost_worker **w = &d->workers[d->num_workers++];

		ck_assert(!vhost_worker_new(w, NULL));
		ck_assert(!vhost_worker_start(*w, "queues"));
	}
}

static void disk_create(struct disk *d, const struct disk_params *params)
{
	struct virtio_blk_params p = params->blk;

	p.storage = d->storage;
	p.queues = p.queues ? p.queues : 1;
	p.block_size = p.block_size ? p.block_size : 512;
	p.arg = d;
	p.io_error = disk_io_error;
	ck_assert(!virtio_blk_new(&d->blk, &p));
	if (d->num_workers)
		ck_assert(!vhost_dev_bind(virtio_blk_dev(d->blk), d->workers, d->num_workers));
}

/* An abstract address which the kernel chooses: nothing to remove. */
static void disk_make_socket(struct disk *d)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };

	d->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(!bind(d->socket, (const struct sockaddr *)&any, sizeof(sa_family_t)));
	ck_assert(!listen(d->socket, 8));
}

static void disk_listen(void *arg)
{
	struct disk *d = arg;
	int fd = fcntl(d->socket, F_DUPFD_CLOEXEC, 0);

	ck_assert(!vhost_dev_listen(virtio_blk_dev(d->blk), d->control, fd));
}

void disk_open(struct disk *d, const struct disk_params *params)
{
	*d = (struct disk){ .fe.fd = -1 };
	disk_open_storage(d, params);
	disk_start_workers(d, params->blk.workers);
	disk_create(d, params);
	disk_make_socket(d);
	vhost_worker_call(d->control, disk_listen, d);
}

struct disk_stop {
	struct disk *d;
	sem_t done;
};

static void disk_stopped(struct vhost_dev *dev, void *arg)
{
	struct disk_stop *stop = arg;

	(void)dev;
	virtio_blk_free(stop->d->blk);
	sem_post(&stop->done);
}

static void disk_stop(void *arg)
{
	struct disk_stop *stop = arg;

	vhost_dev_stop(virtio_blk_dev(stop->d->blk), disk_stopped, stop);
}

void disk_close(struct disk *d)
{
	struct disk_stop stop = { .d = d };

	sem_init(&stop.done, 0, 0);
	vhost_worker_call(d->control, disk_stop, &stop);
	while (sem_wait(&stop.done) && errno == EINTR)
		;
	sem_destroy(&stop.done);
	while (d->num_workers) {
		struct vhost_worker *w = d->workers[--d->num_workers];

		vhost_worker_stop(w);
		vhost_worker_free(w);
	}
	vhost_worker_stop(d->control);
	vhost_worker_free(d->control);
	storage_close(d->storage);
	close(d->socket);
	if (d->image >= 0)
		close(d->image);
}

struct disk_resize {
	struct disk *d;
	uint64_t size;
	int err;
	sem_t done;
};

static void disk_resized(void *arg, int err)
{
	struct disk_resize *resize = arg;

	resize->err = err;
	sem_post(&resize->done);
}

static void disk_start_resize(void *arg)
{
	struct disk_resize *resize = arg;
	const struct storage_resize how = {
		.size = resize->size, .control = resize->d->control,
		.done = disk_resized, .arg = resize,
	};
	char why[200] = "";
	int err = virtio_blk_resize(resize->d->blk, &how, why, sizeof(why));

	if (err)
		disk_resized(resize, err);
}

int disk_resize(struct disk *d, uint64_t size)
{
	struct disk_resize resize = { .d = d, .size = size };

	sem_init(&resize.done, 0, 0);
	vhost_worker_call(d->control, disk_start_resize, &resize);
	while (sem_wait(&resize.done) && errno == EINTR)
		;
	sem_destroy(&resize.done);
	return resize.err;
}

/*
 * The front-end
 */

static int disk_dial(const struct disk *d)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert(!getsockname(d->socket, (struct sockaddr *)&addr, &len));
	ck_assert(!connect(fd, (const struct sockaddr *)&addr, len));
	return fd;
}

static void disk_make_ring(struct disk *d, unsigned int i)
{
	const struct fe_ring_params params = {
		.index = i, .size = 256, .features = d->fe.features, .indirect = 200,
	};

	ck_assert(!fe_ring_init(&d->ring[i], &d->mem, &params));
	d->rings[i] = &d->ring[i];
	ck_assert(!fe_blk_init(&d->fb[i], &d->ring[i], DISK_DEPTH, DISK_DATA_MAX));
}

void disk_greet(struct disk *d, uint64_t features)
{
	/* The library offers transport features which frontend does not play. */
	const uint64_t library = FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_RING_F_EVENT_IDX) |
				 FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
				 FE_BIT(VU_F_PROTOCOL_FEATURES);
	const uint64_t protocol = FE_BIT(VU_PROTOCOL_F_MQ) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK) |
				  FE_BIT(VU_PROTOCOL_F_CONFIG) |
				  FE_BIT(VU_PROTOCOL_F_BACKEND_REQ) |
				  FE_BIT(VU_PROTOCOL_F_RESET_DEVICE);

	fe_attach(&d->fe, disk_dial(d));
	features = (features & (FE_BIT(24) - 1)) | library;
	ck_assert_int_eq(fe_negotiate(&d->fe, features, protocol), 0);
}

void disk_start(struct disk *d, unsigned int n)
{
	unsigned int i;

	ck_assert(!fe_mem_init(&d->mem, 0x100000, DISK_MEM));
	for (i = 0; i < n; i++)
		disk_make_ring(d, i);
	d->num_rings = n;
	ck_assert_int_eq(fe_start(&d->fe, &d->mem, d->rings, n), 0);
}

void disk_connect(struct disk *d, uint64_t features, unsigned int n)
{
	disk_greet(d, features);
	disk_start(d, n);
}

void disk_disconnect(struct disk *d)
{
	unsigned int i;

	fe_close(&d->fe);
	for (i = 0; i < d->num_rings; i++) {
		fe_blk_free(&d->fb[i]);
		fe_ring_free(&d->ring[i]);
	}
	fe_mem_free(&d->mem);
}

void disk_up(struct disk *d, const struct disk_params *params, uint64_t features)
{
	disk_open(d, params);
	disk_connect(d, features, 1);
}

void disk_down(struct disk *d)
{
	disk_disconnect(d);
	disk_close(d);
}

/*
 * Requests
 */

int disk_run(struct disk *d, const struct fe_blk_req *like, void *data, uint32_t *used_len)
{
	struct fe_blk_req *req = fe_blk_get(&d->fb[0]);
	uint8_t *mem = req->mem;
	int status;

	*req = *like;
	req->mem = mem;
	if (data)
		memcpy(fe_blk_data(req), data, req->len);
	status = fe_blk_run(&d->fb[0], req);
	if (data)
		memcpy(data, fe_blk_data(req), req->len);
	*used_len = req->used_len;
	fe_blk_put(&d->fb[0], req);
	return status;
}

void disk_expect(struct disk *d, uint32_t type, uint64_t sector, void *data, uint32_t len,
		 int status, uint32_t used_len)
{
	const struct fe_blk_req like = { .type = type, .sector = sector, .len = len };
	uint32_t used;
	int found = disk_run(d, &like, data, &used);

	ck_assert_msg(found == status && used == used_len,
		      "type %u, sector %llu, length %u: status %d, used length %u, not %d, %u",
		      type, (unsigned long long)sector, len, found, used, status, used_len);
}

void disk_expect_alive(struct disk *d)
{
	uint8_t buf[FE_BLK_SECTOR];

	disk_expect(d, VIRTIO_BLK_T_IN, 2, buf, sizeof(buf), VIRTIO_BLK_S_OK, sizeof(buf) + 1);
	ck_assert_uint_eq(buf[0], disk_pattern(2));
	ck_assert_mem_eq(buf, buf + 1, sizeof(buf) - 1);
}

uint32_t disk_put_ranges(void *buf, const struct disk_range *ranges, unsigned int n)
{
	struct virtio_blk_discard_write_zeroes *r = buf;
	unsigned int i;

	for (i = 0; i < n; i++) {
		r[i].sector = htole64(ranges[i].sector);
		r[i].num_sectors = htole32(ranges[i].num);
		r[i].flags = htole32(ranges[i].flags);
	}
	return (uint32_t)(n * sizeof(*r));
}

void disk_expect_ranges(struct disk *d, uint32_t type, const struct disk_range *ranges,
			unsigned int n, int status)
{
	struct virtio_blk_discard_write_zeroes buf[DISK_RANGES_MAX];

	ck_assert_uint_le(n, DISK_RANGES_MAX);
	disk_expect(d, type, 0, buf, disk_put_ranges(buf, ranges, n), status, 1);
}

struct disk_stats {
	struct disk *d;
	struct virtio_blk_stats stats;
};

static void disk_read_stats(void *arg)
{
	struct disk_stats *s = arg;

	virtio_blk_stats(s->d->blk, 0, &s->stats);
}

uint64_t disk_malformed(struct disk *d)
{
	struct disk_stats s = { .d = d };

	vhost_worker_call(d->num_workers ? d->workers[0] : d->control, disk_read_stats, &s);
	return s.stats.malformed;
}
