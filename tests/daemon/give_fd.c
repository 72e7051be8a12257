/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets and other fds for the tests of a daemon's command line.
 *
 *   give_fd listening PATH COMMAND...	run the command with a socket listening at PATH
 *   give_fd stream COMMAND...		... with one which is neither listening nor connected
 *   give_fd datagram COMMAND...	... with a Unix datagram socket
 *   give_fd inet COMMAND...		... with a socket listening on TCP
 *   give_fd tap IFNAME COMMAND...	... with a queue of a tap which has headers
 *   give_fd plain-tap IFNAME COMMAND... with one which has not
 *   give_fd connected COMMAND...	... with a connected one; speak with the command, close
 *					the other end, and end as the command does
 *   give_fd talk PATH COUNT		connect so many times, and speak each time
 *   give_fd answer PATH COUNT		listen, and speak with so many callers
 *   give_fd stay PATH			connect, speak, and wait for the other end to close
 *   give_fd idle PATH COUNT		connect, start so many rings with buffers to write into
 *					in those of even number, and wait for the other end to
 *					close
 *   give_fd empty PATH COUNT		the same without buffers
 *   give_fd reset PATH			connect, start a ring, and reset the device with it
 *   give_fd mute PATH			connect, say nothing, and wait for the other end to close
 *   give_fd shrink PATH		connect, start a ring, truncate its memory, kick, and
 *					wait for the other end to close
 *
 * The command gets what is given as file descriptor 7.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/frontend.h"

#define GIVEN_FD 7
#define RINGS_MAX 16
#define RING_SIZE 64
#define BUFFER 2048

__attribute__((noreturn))
static void die(const char *what, int err)
{
	fprintf(stderr, "give_fd: %s: %s\n", what, strerror(err));
	exit(99);
}

static void check(const char *what, int err)
{
	if (err < 0)
		die(what, -err);
}

static int make_socket(int domain, int type)
{
	int fd = socket(domain, type, 0);

	if (fd < 0)
		die("socket", errno);
	return fd;
}

static void run(int fd, char **command)
{
	if (fd != GIVEN_FD && (dup2(fd, GIVEN_FD) < 0 || close(fd)))
		die("dup2", errno);
	execv(command[0], command);
	die(command[0], errno);
}

static int make_listening(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = make_socket(AF_UNIX, SOCK_STREAM);

	if (strlen(path) >= sizeof(addr.sun_path))
		die(path, ENAMETOOLONG);
	memcpy(addr.sun_path, path, strlen(path));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8))
		die(path, errno);
	return fd;
}

static int make_inet(void)
{
	int fd = make_socket(AF_INET, SOCK_STREAM);

	if (listen(fd, 8))
		die("listen", errno);
	return fd;
}

static int make_tap(const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags) };
	int fd = open("/dev/net/tun", O_RDWR);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		die(name, errno);
	return fd;
}

/* Whatever serves the other end answers. */
static void speak(struct fe *fe)
{
	uint64_t features;

	check("GET_FEATURES", fe_get_features(fe, &features));
}

static int connected(char **command)
{
	struct fe fe;
	int other, status;
	pid_t pid;

	check("socketpair", fe_pair(&fe, &other));
	pid = fork();
	if (pid < 0)
		die("fork", errno);
	if (!pid) {
		fe_close(&fe);
		run(other, command);
	}
	close(other);
	speak(&fe);
	fe_close(&fe);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid", errno);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int talk(const char *path, int count)
{
	struct fe fe;

	while (count--) {
		check(path, fe_connect(&fe, path));
		speak(&fe);
		fe_close(&fe);
	}
	return 0;
}

/* Listen, and serve as front-end of whoever calls, count times. */
static int answer(const char *path, int count)
{
	int listening = make_listening(path);
	struct fe fe;

	while (count--) {
		struct pollfd p = { .fd = listening, .events = POLLIN };
		int fd;

		if (poll(&p, 1, FE_TIMEOUT_MS) != 1)
			die(path, ETIMEDOUT);
		fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			die("accept", errno);
		fe_attach(&fe, fd);
		speak(&fe);
		fe_close(&fe);
	}
	close(listening);
	unlink(path);
	return 0;
}

/* Tell who waits for it, and wait for the end ourselves. */
static void be_ready(struct fe *fe)
{
	printf("ready\n");
	fflush(stdout);
	fe->timeout_ms = 60000;
	check("waiting for the end", fe_wait_closed(fe));
}

static int stay(const char *path)
{
	struct fe fe;

	check(path, fe_connect(&fe, path));
	speak(&fe);
	be_ready(&fe);
	fe_close(&fe);
	return 0;
}

/* As a network driver does which has nothing to send. */
static void fill(struct fe_mem *mem, struct fe_ring *ring)
{
	struct iovec in = { .iov_len = BUFFER };
	unsigned int i;

	for (i = 0; i < RING_SIZE; i++) {
		in.iov_base = fe_mem_alloc(mem, BUFFER, 1);
		if (!in.iov_base)
			die("buffers", ENOMEM);
		check("buffers", fe_ring_add(ring, NULL, 0, &in, 1, in.iov_base));
	}
	fe_ring_submit(ring);
}

static int idle(const char *path, unsigned int count, bool buffers)
{
	const uint64_t protocol = FE_BIT(VU_PROTOCOL_F_MQ) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK);
	struct fe_ring ring[RINGS_MAX], *rings[RINGS_MAX];
	struct fe_ring_params params = { .size = RING_SIZE };
	struct fe_mem mem;
	struct fe fe;
	unsigned int i;

	if (!count || count > RINGS_MAX)
		die("rings", ERANGE);
	check(path, fe_connect(&fe, path));
	/* All that there is for several queues of a network device, 22. */
	check("negotiation", fe_negotiate(&fe, FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(22) |
					       FE_BIT(VU_F_PROTOCOL_FEATURES), protocol));
	check("memory", fe_mem_init(&mem, 0x100000, 8 << 20));
	for (i = 0; i < count; i++) {
		params.index = i;
		rings[i] = &ring[i];
		check("ring", fe_ring_init(&ring[i], &mem, &params));
	}
	check("start", fe_start(&fe, &mem, rings, count));
	for (i = 0; buffers && i < count; i += 2)
		fill(&mem, &ring[i]);
	check("sync", fe_sync(&fe));
	be_ready(&fe);
	fe_close(&fe);
	for (i = 0; i < count; i++)
		fe_ring_free(&ring[i]);
	fe_mem_free(&mem);
	return 0;
}

static int mute(const char *path)
{
	struct fe fe;

	check(path, fe_connect(&fe, path));
	be_ready(&fe);
	fe_close(&fe);
	return 0;
}

/* One ring runs. */
static void begin(const char *path, struct fe *fe, struct fe_mem *mem, struct fe_ring *ring)
{
	const uint64_t protocol = FE_BIT(VU_PROTOCOL_F_REPLY_ACK) | FE_BIT(VU_PROTOCOL_F_RESET_DEVICE);
	const struct fe_ring_params params = { .size = 16 };

	check(path, fe_connect(fe, path));
	check("negotiation", fe_negotiate(fe, FE_BIT(VIRTIO_F_VERSION_1) |
					      FE_BIT(VU_F_PROTOCOL_FEATURES), protocol));
	check("memory", fe_mem_init(mem, 0x100000, 1 << 20));
	check("ring", fe_ring_init(ring, mem, &params));
	check("start", fe_start(fe, mem, &ring, 1));
	check("sync", fe_sync(fe));
}

static int reset(const char *path)
{
	struct fe_ring ring;
	struct fe_mem mem;
	struct fe fe;

	begin(path, &fe, &mem, &ring);
	check("RESET_DEVICE", fe_reset_device(&fe));
	speak(&fe);
	fe_close(&fe);
	fe_ring_free(&ring);
	fe_mem_free(&mem);
	return 0;
}

static int shrink(const char *path)
{
	struct fe_ring ring;
	struct fe_mem mem;
	struct fe fe;

	begin(path, &fe, &mem, &ring);
	if (ftruncate(mem.regions[0].fd, 0))
		die("ftruncate", errno);
	/* From here on the memory would be our death too. */
	fe_ring_kick_always(&ring);
	check("waiting for the end", fe_wait_closed(&fe));
	fe_close(&fe);
	fe_ring_free(&ring);
	fe_mem_free(&mem);
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[1] : "";

	if (!strcmp(mode, "talk") && argc == 4)
		return talk(argv[2], atoi(argv[3]));
	if (!strcmp(mode, "answer") && argc == 4)
		return answer(argv[2], atoi(argv[3]));
	if (!strcmp(mode, "idle") && argc == 4)
		return idle(argv[2], (unsigned int)atoi(argv[3]), true);
	if (!strcmp(mode, "empty") && argc == 4)
		return idle(argv[2], (unsigned int)atoi(argv[3]), false);
	if (!strcmp(mode, "mute") && argc == 3)
		return mute(argv[2]);
	if (!strcmp(mode, "tap") && argc > 3)
		run(make_tap(argv[2], IFF_VNET_HDR), argv + 3);
	if (!strcmp(mode, "plain-tap") && argc > 3)
		run(make_tap(argv[2], 0), argv + 3);
	if (!strcmp(mode, "stay"))
		return stay(argv[2]);
	if (!strcmp(mode, "reset"))
		return reset(argv[2]);
	if (!strcmp(mode, "shrink"))
		return shrink(argv[2]);
	if (!strcmp(mode, "connected"))
		return connected(argv + 2);
	if (!strcmp(mode, "listening") && argc > 3)
		run(make_listening(argv[2]), argv + 3);
	if (!strcmp(mode, "stream"))
		run(make_socket(AF_UNIX, SOCK_STREAM), argv + 2);
	if (!strcmp(mode, "datagram"))
		run(make_socket(AF_UNIX, SOCK_DGRAM), argv + 2);
	if (!strcmp(mode, "inet"))
		run(make_inet(), argv + 2);
	fprintf(stderr, "usage: see the source\n");
	return 99;
}
