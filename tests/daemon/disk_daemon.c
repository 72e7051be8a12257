/* SPDX-License-Identifier: BSD-3-Clause */
/* A vhost-user-blk with its sockets, its driver, and clients of these sockets. */
#include "tests/daemon/disk_daemon.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FEATURES (FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1) | \
		  FE_BIT(VIRTIO_BLK_F_FLUSH) | FE_BIT(VIRTIO_BLK_F_MQ))

struct disk_daemon test;
char answer[4 << 20];

/*
 * The daemon and its driver
 */

static void clean_up(void)
{
	if (test.pid > 0)
		kill(test.pid, SIGKILL);
	unlink(test.socket);
	unlink(test.control);
	unlink(test.metrics);
	unlink(test.image);
	rmdir(test.dir);
}

/* The option with the path of this name in the folder. */
static void path_option(char *path, size_t size, const char *name, const char *option,
			char text[128])
{
	snprintf(path, size, "%s/%s", test.dir, name);
	snprintf(text, 128, "--%s=%s", option, path);
}

static void daemon_start(const char *threads)
{
	const char *builddir = getenv("top_builddir"), *tmp = getenv("TMPDIR");
	const char *timeout = test.timeout_option ? test.timeout_option : "--handshake-timeout=30";
	char path[512], socket[128], control[128], metrics[128], image[128];

	snprintf(test.dir, sizeof(test.dir), "%.40s/control.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(test.dir));
	path_option(test.socket, sizeof(test.socket), "socket", "socket-path", socket);
	path_option(test.control, sizeof(test.control), "control", "control", control);
	path_option(test.metrics, sizeof(test.metrics), "metrics", "metrics", metrics);
	path_option(test.image, sizeof(test.image), "image", "blk-file", image);
	atexit(clean_up);
	snprintf(path, sizeof(path), "%s/blk/vhost-user-blk", builddir ? builddir : ".");
	fflush(stdout);
	test.pid = fork();
	ck_assert_int_ge(test.pid, 0);
	if (!test.pid) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl(path, path, socket, control, metrics, test.loaded ? image : "--engine=null",
		      "--size=16M", "--num-queues=2", threads, timeout, "--log-level=error",
		      (char *)NULL);
		_exit(127);
	}
}

void disk_connect(void)
{
	ck_assert_int_eq(fe_connect(&test.fe, test.socket), 0);
	ck_assert_int_eq(fe_negotiate(&test.fe, FEATURES, ~UINT64_C(0)), 0);
}

void disk_works(void)
{
	struct fe_blk_req *req = fe_blk_get(&test.blk[0]);

	req->type = VIRTIO_BLK_T_IN;
	req->len = DATA_SIZE;
	ck_assert_int_eq(fe_blk_run(&test.blk[0], req), VIRTIO_BLK_S_OK);
	fe_blk_put(&test.blk[0], req);
}

/*
 * The load
 */

/* No other block, and no other version of it, has the same. */
static void load_fill(uint32_t data[DATA_SIZE / 4], unsigned int block, unsigned int version)
{
	uint32_t i, x = block * 2654435761u + version * 40503u + 1;

	for (i = 0; i < DATA_SIZE / 4; i++) {
		x = x * 1664525u + 1013904223u;
		data[i] = version ? x ^ i : 0;
	}
}

/* The block is as it was left, and is written anew; 0, or what is wrong. */
static int load_step(unsigned int block)
{
	static uint32_t want[DATA_SIZE / 4], found[DATA_SIZE / 4];
	const uint64_t sector = (uint64_t)block * (DATA_SIZE / FE_BLK_SECTOR);
	struct disk_load *load = &test.load;
	int ret = fe_blk_read(&test.blk[1], sector, found, DATA_SIZE);

	if (ret)
		return ret < 0 ? ret : -EIO;
	load_fill(want, block, load->version[block]);
	if (memcmp(want, found, DATA_SIZE))
		return (int)block + 1;
	load_fill(want, block, ++load->version[block]);
	ret = fe_blk_write(&test.blk[1], sector, want, DATA_SIZE);
	atomic_fetch_add(&load->ops, 2);
	return ret > 0 ? -EIO : ret;
}

static void *load_run(void *arg)
{
	struct disk_load *load = arg;
	unsigned int block = 0;

	/* All of them once more at the end. */
	while (!load->wrong && !(atomic_load(&load->stop) && !block)) {
		load->wrong = load_step(block * 37 % LOAD_BLOCKS);
		block = (block + 1) % LOAD_BLOCKS;
	}
	for (block = 0; !load->wrong && block < LOAD_BLOCKS; block++)
		load->wrong = load_step(block);
	return NULL;
}

static void load_start(void)
{
	ck_assert_int_eq(pthread_create(&test.load.thread, NULL, load_run, &test.load), 0);
}

static void load_end(void)
{
	atomic_store(&test.load.stop, true);
	ck_assert_int_eq(pthread_join(test.load.thread, NULL), 0);
	ck_assert_int_eq(test.load.wrong, 0);
	ck_assert_uint_ge(atomic_load(&test.load.ops), 2 * LOAD_BLOCKS);
}

/*
 * Up and down
 */

void disk_up(unsigned int threads)
{
	struct fe_ring_params params = { .size = 16, .features = FEATURES };
	unsigned int i;

	daemon_start(threads ? "--threads=1" : "--threads=0");
	ck_assert_int_eq(fe_mem_init(&test.mem, 0, 1 << 20), 0);
	for (i = 0; i < 2; i++) {
		params.index = i;
		test.list[i] = &test.ring[i];
		ck_assert_int_eq(fe_ring_init(&test.ring[i], &test.mem, &params), 0);
		ck_assert_int_eq(fe_blk_init(&test.blk[i], &test.ring[i], 4, DATA_SIZE), 0);
	}
	disk_connect();
	ck_assert_int_eq(fe_set_features(&test.fe, test.fe.features), 0);
	ck_assert_int_eq(fe_start(&test.fe, &test.mem, test.list, 2), 0);
	if (test.loaded)
		load_start();
}

void disk_down(void)
{
	int status;
	unsigned int i;

	disk_works();
	if (test.loaded)
		load_end();
	fe_close(&test.fe);
	ck_assert_int_eq(kill(test.pid, SIGTERM), 0);
	ck_assert_int_eq(waitpid(test.pid, &status, 0), test.pid);
	test.pid = 0;
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_ne(access(test.control, F_OK), 0);
	ck_assert_int_ne(access(test.metrics, F_OK), 0);
	for (i = 0; i < 2; i++) {
		fe_blk_free(&test.blk[i]);
		fe_ring_free(&test.ring[i]);
	}
	fe_mem_free(&test.mem);
}

/*
 * Clients
 */

int client(const char *path)
{
	const struct timeval timeout = { TIMEOUT_MS / 1000, 0 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return fd;
}

void say(int fd, const char *text, size_t len)
{
	ssize_t n;

	for (; len; text += n, len -= (size_t)n) {
		n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0) {
			ck_assert(errno == EPIPE || errno == ECONNRESET);
			return;
		}
	}
}

bool hear(int fd)
{
	size_t len = 0;
	ssize_t n;

	do {
		ck_assert_uint_lt(len, sizeof(answer) - 1);
		n = recv(fd, answer + len, 1, 0);
		if (n <= 0) {
			/* Not a timeout. */
			ck_assert(!n || errno == ECONNRESET);
			return false;
		}
	} while (answer[len++] != '\n');
	answer[len] = '\0';
	return true;
}

void expect(int fd, const char *text)
{
	ck_assert_msg(hear(fd), "closed instead of %s", text);
	ck_assert_msg(strstr(answer, text), "%s instead of %s", answer, text);
}
