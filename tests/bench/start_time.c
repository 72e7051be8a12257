/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a daemon takes from exec until it says that it is ready, and how much memory it has then.
 *
 *   start_time ROUNDS COMMAND...
 *
 * Prints the median, the least and the most of the time in ms, and the median of the private memory
 * which it has written and of all that is resident, in KiB.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 1000
#define TIMEOUT_MS 10000

struct round {
	double ms;
	unsigned long own, resident;	/* KiB */
};

static double *exec_at;			/* ms, shared with the child */
static char sock_path[64];

__attribute__((noreturn))
static void die(const char *what)
{
	fprintf(stderr, "start_time: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int listen_notify(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* An abstract name leaves nothing behind. */
	snprintf(sock_path, sizeof(sock_path), "@libvhost-start-%d", getpid());
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", sock_path);
	addr.sun_path[0] = '\0';
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr,
			   (socklen_t)(sizeof(sa_family_t) + strlen(sock_path))))
		die("notify socket");
	setenv("NOTIFY_SOCKET", sock_path, 1);
	return fd;
}

static void wait_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[1024] = "";
	ssize_t n;

	while (strncmp(text, "READY=1", 7)) {
		if (poll(&p, 1, TIMEOUT_MS) != 1)
			die("the daemon does not get ready");
		n = recv(fd, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
	}
}

/* A number of this name in a file of /proc, KiB. */
static unsigned long proc_number(pid_t pid, const char *file, const char *name)
{
	unsigned long value = 0;
	char line[256];
	FILE *in;

	snprintf(line, sizeof(line), "/proc/%d/%s", pid, file);
	in = fopen(line, "r");
	while (in && fgets(line, sizeof(line), in))
		if (!strncmp(line, name, strlen(name)))
			value = strtoul(line + strlen(name), NULL, 10);
	if (in)
		fclose(in);
	return value;
}

static struct round run(int fd, char **argv)
{
	struct round r;
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (!pid) {
		*exec_at = now_ms();
		execv(argv[0], argv);
		_exit(127);
	}
	wait_ready(fd);
	r.ms = now_ms() - *exec_at;
	r.own = proc_number(pid, "smaps_rollup", "Private_Dirty:");
	r.resident = proc_number(pid, "status", "VmRSS:");
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	/* What it said at its end. */
	while (recv(fd, &status, sizeof(status), MSG_DONTWAIT) >= 0)
		;
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct round *x = a, *y = b;

	return (x->ms > y->ms) - (x->ms < y->ms);
}

int main(int argc, char **argv)
{
	static struct round rounds[ROUNDS_MAX];
	int i, n = argc > 2 ? atoi(argv[1]) : 0, fd;

	if (n < 1 || n > ROUNDS_MAX) {
		fprintf(stderr, "usage: start_time ROUNDS COMMAND...\n");
		return 2;
	}
	exec_at = mmap(NULL, sizeof(*exec_at), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (exec_at == MAP_FAILED)
		die("mmap");
	fd = listen_notify();
	for (i = 0; i < n; i++)
		rounds[i] = run(fd, argv + 2);
	qsort(rounds, (size_t)n, sizeof(rounds[0]), compare);
	printf("%6.2f %6.2f %6.2f ms %6lu %6lu KiB\n", rounds[n / 2].ms, rounds[0].ms,
	       rounds[n - 1].ms, rounds[n / 2].own, rounds[n / 2].resident);
	return 0;
}
