/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user-blk or -scsi is killed under load, again and again; the next one gets the in-flight
 * memory.
 *
 * Each slot of the disk has at most one request outstanding, and the data of each write is its
 * number.  So it is known what each read must give: also, that no write was carried
 * out once more after a later one.
 *
 * In one variant the socket is not the daemon's but ours, as a service manager has it: the
 * front-end connects when there is no daemon, and is served by the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/fe_blk.h"
#include "frontend/fe_migrate.h"
#include "frontend/fe_scsi.h"
#include "tests/tap.h"

#define ROUNDS 15
#define SLOTS 48u
#define SLOT_SIZE 8192u
#define SLOT_SECTORS (SLOT_SIZE / FE_BLK_SECTOR)
#define RING_SIZE 128u
#define FEATURES (FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1) | \
		  FE_BIT(VIRTIO_RING_F_EVENT_IDX) | FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
		  FE_BIT(VIRTIO_BLK_F_FLUSH))

static const struct variant {
	const char *engine;
	uint64_t format;
	bool activated;			/* the socket is passed to the daemon */
	bool scsi;
} variants[] = {
	{ "uring", 0 },
	{ "uring", FE_BIT(VIRTIO_F_RING_PACKED) },
	{ "threads", 0 },
	{ "aio", FE_BIT(VIRTIO_F_RING_PACKED) },
	{ "uring", 0, true },
	{ "threads", FE_BIT(VIRTIO_F_RING_PACKED), true },
	{ "uring", 0, .scsi = true },
	{ "threads", FE_BIT(VIRTIO_F_RING_PACKED), .scsi = true },
};

struct slot {
	void *req;			/* fe_blk_req or fe_scsi_req, outstanding; NULL: none */
	uint64_t number;		/* of the last write which was completed; 0: none */
	uint64_t writing;		/* of the outstanding write; 0: it is a read */
};

struct test {
	const struct variant *variant;
	char dir[64], socket[80], image[80];
	int listening;			/* -1: the daemon makes its socket */
	pid_t pid;
	struct fe fe;
	struct fe_mem mem;
	struct fe_ring ring, other[2];	/* of requests; control and event queue of scsi */
	struct fe_ring *list[3];
	unsigned int rings;		/* in the list */
	struct fe_blk blk;
	struct fe_scsi scsi;
	struct vu_inflight inflight;
	int inflight_fd;		/* -1: not got yet */
	struct slot slots[SLOTS];
	uint64_t writes, done;
};

static uint64_t rng;

static unsigned int random_below(unsigned int n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned int)(rng >> 33) % n;
}

/*
 * The daemon
 */

/* As systemd does it. */
static void daemon_exec_activated(int listening, char *path, char *image, char *engine)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	/* Without the flag which closes it. */
	if (dup2(listening, 3) != 3 || setenv("LISTEN_PID", pid, 1) || setenv("LISTEN_FDS", "1", 1))
		return;
	execl(path, path, image, engine, (char *)NULL);
}

static void daemon_start(struct test *t)
{
	const char *builddir = getenv("top_builddir");
	char path[512], socket[128], image[160], engine[32];

	snprintf(path, sizeof(path), "%s/%s", builddir ? builddir : ".",
		 t->variant->scsi ? "scsi/vhost-user-scsi" : "blk/vhost-user-blk");
	snprintf(socket, sizeof(socket), "--socket-path=%s", t->socket);
	if (t->variant->scsi) {
		snprintf(image, sizeof(image), "--lun=0,file=%s,engine=%s", t->image,
			 t->variant->engine);
		snprintf(engine, sizeof(engine), "--num-queues=1");
	} else {
		snprintf(image, sizeof(image), "--blk-file=%s", t->image);
		snprintf(engine, sizeof(engine), "--engine=%s", t->variant->engine);
	}
	fflush(stdout);
	t->pid = fork();
	ck_assert_int_ge(t->pid, 0);
	if (!t->pid) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		if (t->listening >= 0)
			daemon_exec_activated(t->listening, path, image, engine);
		else
			execl(path, path, socket, image, engine, (char *)NULL);
		_exit(127);
	}
}

static void daemon_kill(struct test *t)
{
	int status;

	ck_assert_int_eq(kill(t->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(t->pid, &status, 0), t->pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	fe_close(&t->fe);
}

static void daemon_connect(struct test *t)
{
	if (t->listening < 0)
		daemon_start(t);
	ck_assert_int_eq(fe_connect(&t->fe, t->socket), 0);
	if (t->listening >= 0)
		daemon_start(t);
	ck_assert_int_eq(fe_negotiate(&t->fe, FEATURES | t->variant->format, ~UINT64_C(0)), 0);
	ck_assert_uint_eq(t->fe.features & t->variant->format, t->variant->format);
	ck_assert_int_eq(fe_set_features(&t->fe, t->fe.features), 0);
	if (t->inflight_fd < 0) {
		t->inflight.num_queues = (uint16_t)t->rings;
		t->inflight.queue_size = RING_SIZE;
		ck_assert_int_eq(fe_get_inflight_fd(&t->fe, &t->inflight, &t->inflight_fd), 0);
	}
	ck_assert_int_eq(fe_set_inflight_fd(&t->fe, &t->inflight, t->inflight_fd), 0);
	ck_assert_int_eq(fe_start(&t->fe, &t->mem, t->list, t->rings), 0);
}

/*
 * Requests
 */

static bool is_filled_with(const uint8_t *data, uint64_t number)
{
	uint64_t word;
	size_t off;

	for (off = 0; off < SLOT_SIZE; off += sizeof(word)) {
		memcpy(&word, data + off, sizeof(word));
		if (word != number)
			return false;
	}
	return true;
}

static void fill(uint8_t *data, uint64_t number)
{
	size_t off;

	for (off = 0; off < SLOT_SIZE; off += sizeof(number))
		memcpy(data + off, &number, sizeof(number));
}

/* Several descriptors each, or one indirect one. */
static uint32_t random_cut(void)
{
	return random_below(2) ? SLOT_SIZE / 4 : 0;
}

static void submit_blk(struct test *t, struct slot *s, unsigned int i)
{
	struct fe_blk_req *req = fe_blk_get(&t->blk);

	ck_assert_ptr_nonnull(req);
	req->type = s->writing ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
	req->len = SLOT_SIZE;
	req->sector = i * (uint64_t)SLOT_SECTORS;
	req->cut = random_cut();
	req->opaque = s;
	s->req = req;
	fill(fe_blk_data(req), s->writing ? s->writing : UINT64_MAX);
	ck_assert_int_ge(fe_blk_add(&t->blk, req), 0);
}

/* READ (10) or WRITE (10). */
static void submit_scsi(struct test *t, struct slot *s, unsigned int i)
{
	struct fe_scsi_req *req = fe_scsi_get(&t->scsi);

	ck_assert_ptr_nonnull(req);
	fe_scsi_lun(req->lun, 0, 0);
	req->tag = i;
	req->cdb[0] = s->writing ? 0x2a : 0x28;
	req->cdb[4] = (uint8_t)(i * SLOT_SECTORS >> 8);
	req->cdb[5] = (uint8_t)(i * SLOT_SECTORS);
	req->cdb[8] = SLOT_SECTORS;
	*(s->writing ? &req->out_len : &req->in_len) = SLOT_SIZE;
	req->cut = random_cut();
	req->opaque = s;
	s->req = req;
	fill(s->writing ? fe_scsi_out(req) : fe_scsi_in(req), s->writing ? s->writing : UINT64_MAX);
	ck_assert_int_ge(fe_scsi_add(req), 0);
}

static void submit(struct test *t, unsigned int i, bool write)
{
	struct slot *s = &t->slots[i];

	s->writing = write ? ++t->writes : 0;
	if (t->variant->scsi)
		submit_scsi(t, s, i);
	else
		submit_blk(t, s, i);
}

/* The slot of a request which has come back, and its data. */
static struct slot *reap_blk(struct test *t, const uint8_t **data)
{
	struct fe_blk_req *req;
	struct slot *s;

	ck_assert_int_eq(fe_blk_reap(&t->blk, &req, FE_TIMEOUT_MS), 0);
	s = req->opaque;
	ck_assert_ptr_eq(s->req, req);
	ck_assert_uint_eq(fe_blk_status(req), VIRTIO_BLK_S_OK);
	*data = fe_blk_data(req);
	fe_blk_put(&t->blk, req);
	return s;
}

/* A new daemon says so to whoever comes first, who then asks again. */
static bool says_power_on(const struct fe_scsi_resp *resp)
{
	return resp->status == 0x02 && resp->sense_len >= 14 && (resp->sense[2] & 0xf) == 0x6 &&
	       resp->sense[12] == 0x29;
}

static struct slot *reap_scsi(struct test *t, const uint8_t **data)
{
	struct fe_scsi_resp resp;
	struct fe_scsi_req *req;
	struct slot *s;

	ck_assert_int_eq(fe_scsi_reap(&t->scsi, &req, FE_TIMEOUT_MS), 0);
	s = req->opaque;
	ck_assert_ptr_eq(s->req, req);
	resp = fe_scsi_resp(req);
	ck_assert_uint_eq(resp.response, VIRTIO_SCSI_S_OK);
	if (says_power_on(&resp)) {
		ck_assert_int_ge(fe_scsi_submit(req), 0);
		return NULL;
	}
	ck_assert_uint_eq(resp.status, 0);
	ck_assert_uint_eq(resp.residual, 0);
	*data = fe_scsi_in(req);
	fe_scsi_put(req);
	return s;
}

static void reap(struct test *t)
{
	const uint8_t *data;
	struct slot *s = t->variant->scsi ? reap_scsi(t, &data) : reap_blk(t, &data);

	if (!s)
		return;
	if (s->writing)
		s->number = s->writing;
	else
		ck_assert(is_filled_with(data, s->number));
	s->req = NULL;
	t->done++;
}

static unsigned int outstanding(const struct test *t)
{
	unsigned int i, n = 0;

	for (i = 0; i < SLOTS; i++)
		n += !!t->slots[i].req;
	return n;
}

/* Keep most slots busy until so many requests more have come back. */
static void load(struct test *t, unsigned int count)
{
	uint64_t until = t->done + count;
	unsigned int n;

	while (t->done < until) {
		for (n = 1 + random_below(SLOTS); n; n--) {
			unsigned int i = random_below(SLOTS);

			/* Room for the longest chain. */
			if (!t->slots[i].req && t->ring.num_free > 8)
				submit(t, i, random_below(3));
		}
		fe_ring_submit(&t->ring);
		for (n = 1 + random_below(4); n && outstanding(t); n--)
			reap(t);
	}
}

/* A number above 3, so that dup2() in the child gives an fd which stays open. */
static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int first = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = fcntl(first, F_DUPFD_CLOEXEC, 4);

	ck_assert_int_ge(fd, 4);
	close(first);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

static void test_init_rings(struct test *t, const struct variant *variant)
{
	struct fe_ring_params params = {
		.size = RING_SIZE,
		.features = FEATURES | variant->format,
		.base = variant->format ? FE_PACKED_BASE : 0,
		.indirect = 4,
	};
	unsigned int i;

	ck_assert_int_eq(fe_mem_init(&t->mem, 0, 16 << 20), 0);
	for (i = 0; variant->scsi && i < 2; i++) {
		params.index = i;
		ck_assert_int_eq(fe_ring_init(&t->other[i], &t->mem, &params), 0);
		t->list[t->rings++] = &t->other[i];
	}
	params.index = t->rings;
	ck_assert_int_eq(fe_ring_init(&t->ring, &t->mem, &params), 0);
	t->list[t->rings++] = &t->ring;
	if (variant->scsi)
		ck_assert_int_eq(fe_scsi_init(&t->scsi, &t->ring, SLOTS, SLOT_SIZE), 0);
	else
		ck_assert_int_eq(fe_blk_init(&t->blk, &t->ring, SLOTS, SLOT_SIZE), 0);
}

static void test_init(struct test *t, const struct variant *variant)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	memset(t, 0, sizeof(*t));
	t->variant = variant;
	t->inflight_fd = -1;
	snprintf(t->dir, sizeof(t->dir), "%.40s/kill-blk.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(t->dir));
	snprintf(t->socket, sizeof(t->socket), "%s/socket", t->dir);
	snprintf(t->image, sizeof(t->image), "%s/image", t->dir);
	t->listening = variant->activated ? listen_at(t->socket) : -1;
	fd = open(t->image, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, SLOTS * SLOT_SIZE), 0);
	close(fd);
	test_init_rings(t, variant);
}

static void test_exit(struct test *t)
{
	unsigned int i;

	if (t->variant->scsi)
		fe_scsi_free(&t->scsi);
	else
		fe_blk_free(&t->blk);
	for (i = 0; i < t->rings; i++)
		fe_ring_free(t->list[i]);
	fe_mem_free(&t->mem);
	close(t->inflight_fd);
	if (t->listening >= 0)
		close(t->listening);
	unlink(t->socket);
	unlink(t->image);
	rmdir(t->dir);
}

/* What a failed test has left behind. */
static struct test test;

static void clean_up(void)
{
	if (test.pid > 0)
		kill(test.pid, SIGKILL);
	unlink(test.socket);
	unlink(test.image);
	rmdir(test.dir);
}

START_TEST(killed_under_load)
{
	unsigned int round, i, lost = 0;

	rng = (uint64_t)getpid() << 20 | 1;
	printf("# seed %#lx, %s, engine %s%s\n", (unsigned long)rng,
	       variants[_i].scsi ? "scsi" : "blk", variants[_i].engine,
	       variants[_i].activated ? ", socket activated" : "");
	test_init(&test, &variants[_i]);
	atexit(clean_up);
	for (round = 0; round < ROUNDS; round++) {
		daemon_connect(&test);
		load(&test, 1 + random_below(100));
		daemon_kill(&test);
		lost += outstanding(&test);
	}
	/* Otherwise nothing was tried. */
	ck_assert_uint_gt(lost, ROUNDS);
	daemon_connect(&test);
	while (outstanding(&test))
		reap(&test);
	for (i = 0; i < SLOTS; i++) {
		submit(&test, i, false);
		fe_ring_submit(&test.ring);
		reap(&test);
	}
	daemon_kill(&test);
	test.pid = 0;
	test_exit(&test);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kill_blk");
	TCase *tc = tcase_create("kill");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, killed_under_load, 0, sizeof(variants) / sizeof(variants[0]));
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
