/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A verified stream over TCP in both directions, which does not end before it is told to.
 *
 *   stream serve PORT			give back what comes, on any number of connections
 *   stream run ADDRESS PORT N		send on N connections, and compare what comes back
 *
 * Every word which is sent says where it belongs, so that a byte which got lost, came twice, or
 * came from another connection or with other contents is found, whatever TCP's checksum says.  On
 * SIGTERM the client sends no more, but waits for all that has been sent: exit status 0.
 *
 * A line "stream: N KiB" every half second, as much as came back and was right, says that it goes
 * on.
 */
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WORDS		2048u			/* of a piece which is sent */
#define CONNECTIONS_MAX	64u
#define STUCK		120			/* half seconds without a byte */

struct connection {
	pthread_t sender, receiver;
	unsigned int number;
	int fd;
	atomic_uint_least64_t sent, received;	/* words */
	atomic_bool done;			/* all that was sent came back */
};

static atomic_bool stop;

static void fail(const char *what, int err)
{
	printf("stream: %s: %s\n", what, strerror(err));
	fflush(stdout);
	_exit(1);
}

static void start(pthread_t *id, void *(*run)(void *), void *arg)
{
	int err = pthread_create(id, NULL, run, arg);

	if (err)
		fail("pthread_create", err);
}

static int write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	ssize_t n;

	for (; len; p += n, len -= (size_t)n) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
	}
	return 0;
}

/*
 * The client
 */

static uint64_t word_of(unsigned int number, uint64_t i)
{
	return ((uint64_t)number << 56 | i) * 0x9e3779b97f4a7c15u;
}

static void *send_words(void *arg)
{
	struct connection *c = arg;
	uint64_t buf[WORDS], sent;
	unsigned int i;
	int err;

	while (!atomic_load(&stop)) {
		sent = atomic_load(&c->sent);
		for (i = 0; i < WORDS; i++)
			buf[i] = word_of(c->number, sent + i);
		/* First, because the receiver must not be ahead. */
		atomic_store(&c->sent, sent + WORDS);
		err = write_all(c->fd, buf, sizeof(buf));
		if (err)
			fail("send", -err);
	}
	if (shutdown(c->fd, SHUT_WR))
		fail("shutdown", errno);
	return NULL;
}

static void compare(struct connection *c, const uint64_t *buf, size_t words)
{
	uint64_t received = atomic_load(&c->received);
	size_t i;

	for (i = 0; i < words; i++) {
		uint64_t wanted = word_of(c->number, received + i);

		if (buf[i] == wanted)
			continue;
		printf("stream: connection %u, word %" PRIu64 ": %016" PRIx64 " instead of %016" PRIx64 "\n",
		       c->number, received + i, buf[i], wanted);
		fail("compare", EBADMSG);
	}
	atomic_store(&c->received, received + words);
}

static void *receive_words(void *arg)
{
	struct connection *c = arg;
	uint64_t buf[WORDS];
	size_t got = 0, words;
	ssize_t n;

	for (;;) {
		n = recv(c->fd, (char *)buf + got, sizeof(buf) - got, 0);
		if (n < 0)
			fail("recv", errno);
		if (!n)
			break;
		got += (size_t)n;
		words = got / sizeof(buf[0]);
		compare(c, buf, words);
		got %= sizeof(buf[0]);
		memmove(buf, buf + words, got);
	}
	if (!atomic_load(&stop) || got || atomic_load(&c->received) != atomic_load(&c->sent))
		fail("the stream has ended early", ECONNRESET);
	atomic_store(&c->done, true);
	return NULL;
}

static int connect_to(const char *address, const char *port)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
	struct addrinfo *info;
	int fd;

	if (getaddrinfo(address, port, &hints, &info))
		fail(address, EINVAL);
	fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, info->ai_addr, info->ai_addrlen))
		fail("connect", errno);
	freeaddrinfo(info);
	return fd;
}

static void on_signal(int sig)
{
	(void)sig;
	atomic_store(&stop, true);
}

static void half_a_second(void)
{
	struct timespec t = { 0, 500000000 };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* Say how it goes on, until all are done. */
static void watch(struct connection *c, unsigned int n)
{
	uint64_t last = 0, now;
	unsigned int i, done, idle = 0;

	do {
		half_a_second();
		for (now = done = i = 0; i < n; i++) {
			done += atomic_load(&c[i].done);
			now += atomic_load(&c[i].received);
		}
		idle = now == last ? idle + 1 : 0;
		last = now;
		printf("stream: %" PRIu64 " KiB\n", now * sizeof(uint64_t) / 1024);
		fflush(stdout);
		if (idle == STUCK && done < n)
			fail("stuck", ETIMEDOUT);
	} while (done < n);
}

static void run(const char *address, const char *port, unsigned int n)
{
	static struct connection c[CONNECTIONS_MAX];
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	unsigned int i;

	sigaction(SIGTERM, &sa, NULL);
	for (i = 0; i < n; i++) {
		c[i].number = i;
		c[i].fd = connect_to(address, port);
		start(&c[i].sender, send_words, &c[i]);
		start(&c[i].receiver, receive_words, &c[i]);
	}
	watch(c, n);
	puts("stream: all came back");
}

/*
 * The server
 */

static void *echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[65536];
	ssize_t n;

	/* What goes wrong is the client's to see. */
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0 && !write_all(fd, buf, (size_t)n))
		;
	close(fd);
	return NULL;
}

/* For both, or for a kernel which has only IPv4. */
static int listen_on(uint16_t port)
{
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct sockaddr *address = (const struct sockaddr *)&any;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	socklen_t len = sizeof(any);

	if (fd < 0 && errno == EAFNOSUPPORT) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		address = (const struct sockaddr *)&any4;
		len = sizeof(any4);
	}
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, address, len) || listen(fd, 64))
		fail("listen", errno);
	return fd;
}

static void serve(uint16_t port)
{
	int fd = listen_on(port), client;
	pthread_t id;

	puts("stream: serving");
	fflush(stdout);
	while ((client = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		start(&id, echo, (void *)(intptr_t)client);
		pthread_detach(id);
	}
	fail("accept", errno);
}

int main(int argc, char **argv)
{
	unsigned long n = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;

	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve((uint16_t)strtoul(argv[2], NULL, 10));
	if (argc != 5 || strcmp(argv[1], "run") || !n || n > CONNECTIONS_MAX) {
		fputs("usage: stream serve PORT | stream run ADDRESS PORT CONNECTIONS\n", stderr);
		return 2;
	}
	run(argv[2], argv[3], (unsigned int)n);
	return 0;
}
