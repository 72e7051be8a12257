/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Write seeds for target_messages.c: complete sessions, as a front-end has them with the fuzz
 * targets' device, in the language of messages.h.  The argument is the folder.
 */
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/device.h"
#include "tests/fuzz/messages.h"
#include "tests/proxy.h"
#include "tests/session.h"

/* The device, stepped again and again on a thread of its own. */
struct seeds {
	struct fuzz_device d;
	atomic_int state;		/* 1: it listens; 2: it shall end */
	FILE *file;
};

static void *seeds_device(void *arg)
{
	static const struct timespec pause = { 0, 100000 };
	struct seeds *s = arg;

	fuzz_device_start(&s->d, NULL, 0);
	atomic_store(&s->state, 1);
	while (atomic_load(&s->state) == 1) {
		stepped_run(&s->d.s);
		nanosleep(&pause, NULL);
	}
	stepped_stop(&s->d.s);
	return NULL;
}

static enum messages_fd seeds_kind(int fd)
{
	char path[64], target[64] = "";
	struct stat st;

	stepped_check(!fstat(fd, &st));
	if (S_ISSOCK(st.st_mode))
		return MESSAGES_FD_SOCKET;
	if (S_ISFIFO(st.st_mode))
		return MESSAGES_FD_PIPE_WRITE;
	if (S_ISREG(st.st_mode))
		return st.st_size == MESSAGES_GUEST ? MESSAGES_FD_GUEST : MESSAGES_FD_MEMFD;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "eventfd") ?
	       MESSAGES_FD_EVENT : MESSAGES_FD_NULL;
}

/* On the proxy's thread: write the message, and let the device work on it. */
static void seeds_seen(void *arg, const struct proxy_msg *msg)
{
	struct seeds *s = arg;
	uint16_t size = (uint16_t)msg->header.size;
	unsigned int i;

	fputc(MESSAGES_RAW, s->file);
	fputc((int)msg->header.request, s->file);
	fputc((int)msg->header.flags, s->file);
	fwrite(&size, sizeof(size), 1, s->file);
	fputc((int)msg->nfds, s->file);
	fwrite(msg->payload, 1, size, s->file);
	for (i = 0; i < msg->nfds; i++)
		fputc(seeds_kind(msg->fds[i]), s->file);
	fputc(MESSAGES_RUN, s->file);
	fputc(MESSAGES_RECEIVE, s->file);
}

static void seeds_session(struct seeds *s, const char *dir, const char *name, uint64_t features)
{
	const struct session_params params = {
		.features = FE_BIT(VIRTIO_F_VERSION_1) | features, .ring_size = 8,
		.gpa = MESSAGES_GPA, .uva = MESSAGES_UVA, .mem_size = MESSAGES_GUEST,
	};
	struct proxy p = { .cut_after = PROXY_NEVER, .seen = seeds_seen, .arg = s };
	struct fe to_proxy;
	char path[4096];
	int err;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	s->file = fopen(path, "wb");
	stepped_check(s->file);
	fputc(0, s->file);
	stepped_check(!fe_pair(&to_proxy, &p.front_fd));
	p.back_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	stepped_check(!connect(p.back_fd, (struct sockaddr *)&s->d.s.addr, s->d.s.addr_len));
	stepped_check(!proxy_start(&p));
	err = session_run(&params, to_proxy.fd);
	proxy_join(&p);
	printf("%s: %u messages, %s\n", path, p.messages, err ? strerrorname_np(-err) : "complete");
	stepped_check(!fclose(s->file));
}

int main(int argc, char **argv)
{
	static struct seeds s;
	pthread_t thread;

	if (argc != 2) {
		fprintf(stderr, "usage: make_seeds FOLDER\n");
		return 2;
	}
	stepped_check(!pthread_create(&thread, NULL, seeds_device, &s));
	while (!atomic_load(&s.state))
		sched_yield();
	seeds_session(&s, argv[1], "session-split", FE_BIT(VIRTIO_RING_F_INDIRECT_DESC));
	seeds_session(&s, argv[1], "session-packed", FE_BIT(VIRTIO_F_RING_PACKED) |
						     FE_BIT(VIRTIO_RING_F_EVENT_IDX));
	atomic_store(&s.state, 2);
	pthread_join(thread, NULL);
	return 0;
}
