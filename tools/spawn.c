/* SPDX-License-Identifier: BSD-3-Clause */
/* See spawn.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/spawn.h"
#include "util.h"

/* What a back-end may take to end in order, and how often to look. */
#define SPAWN_END_MS	5000
#define SPAWN_LOOK_MS	5

bool spawn_has_socket(char *const *argv)
{
	for (; *argv; argv++)
		if (strstr(*argv, "{}"))
			return true;
	return false;
}

/* The argument with each {} replaced; NULL: no memory. */
static char *spawn_replace(const char *arg, const char *socket)
{
	size_t n = 1, len = strlen(socket);
	const char *at, *from = arg;
	char *text, *to;

	for (at = arg; (at = strstr(at, "{}")); at += 2)
		n++;
	text = to = malloc(strlen(arg) + n * len + 1);
	if (!text)
		return NULL;
	for (; (at = strstr(from, "{}")); from = at + 2) {
		memcpy(to, from, (size_t)(at - from));
		to += at - from;
		memcpy(to, socket, len);
		to += len;
	}
	strcpy(to, from);
	return text;
}

static void spawn_free(char **argv)
{
	size_t i;

	for (i = 0; argv && argv[i]; i++)
		free(argv[i]);
	free(argv);
}

static char **spawn_args(char *const *argv, const char *socket)
{
	size_t n, i;
	char **args;

	for (n = 0; argv[n]; n++)
		;
	args = calloc(n + 1, sizeof(*args));
	for (i = 0; args && i < n; i++) {
		args[i] = spawn_replace(argv[i], socket);
		if (!args[i]) {
			spawn_free(args);
			return NULL;
		}
	}
	return args;
}

/* In the new process, which has nothing to say but its errno. */
static int spawn_become(const struct spawn *s, char **args, const cpu_set_t *cpus, int in,
			pid_t parent)
{
	int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return -ESRCH;
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (log < 0 || dup2(in, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		return -errno;
	if (sched_setaffinity(0, sizeof(*cpus), cpus) < 0)
		return -errno;
	execvp(args[0], args);
	return -errno;
}

/* Fork, and hear from the new process whether it could become the back-end. */
static int spawn_fork(struct spawn *s, char **args, const cpu_set_t *cpus, int in)
{
	pid_t parent = getpid();
	int news[2], err = 0;

	if (pipe2(news, O_CLOEXEC) < 0)
		return -errno;
	s->pid = fork();
	if (!s->pid) {
		err = spawn_become(s, args, cpus, in, parent);
		if (write(news[1], &err, sizeof(err)) < 0)
			_exit(126);
		_exit(127);
	}
	if (s->pid < 0) {
		err = -errno;
		s->pid = 0;
	}
	close(news[1]);
	if (s->pid) {
		setpgid(s->pid, s->pid);
		if (read(news[0], &err, sizeof(err)) <= 0)
			err = 0;
	}
	close(news[0]);
	return err;
}

static int spawn_make_dir(struct spawn *s)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(s->dir, sizeof(s->dir), "%s/vhost-bench.XXXXXX", tmp ? tmp : "/tmp");

	if ((size_t)n >= sizeof(s->dir) || !mkdtemp(s->dir)) {
		s->dir[0] = '\0';
		return (size_t)n >= sizeof(s->dir) ? -ENAMETOOLONG : -errno;
	}
	snprintf(s->socket, sizeof(s->socket), "%s/sock", s->dir);
	snprintf(s->log, sizeof(s->log), "%s/log", s->dir);
	return 0;
}

int spawn_start(struct spawn *s, char *const *argv, const cpu_set_t *cpus)
{
	int in[2] = { -1, -1 }, err;
	char **args;

	*s = (struct spawn){ .stdin_fd = -1 };
	err = spawn_make_dir(s);
	if (err)
		return err;
	args = spawn_args(argv, s->socket);
	err = args ? 0 : -ENOMEM;
	if (!err && pipe2(in, O_CLOEXEC) < 0)
		err = -errno;
	if (!err)
		err = spawn_fork(s, args, cpus, in[0]);
	spawn_free(args);
	close_fd(&in[0]);
	s->stdin_fd = in[1];
	if (err)
		spawn_stop(s);
	return err;
}

bool spawn_alive(struct spawn *s, char *why, size_t size)
{
	int status;

	if (!s->pid || waitpid(s->pid, &status, WNOHANG) != s->pid)
		return s->pid;
	s->pid = 0;
	if (WIFSIGNALED(status))
		snprintf(why, size, "it was ended by signal %d", WTERMSIG(status));
	else
		snprintf(why, size, "it ended with status %d", WEXITSTATUS(status));
	return false;
}

static void spawn_end(struct spawn *s)
{
	int left;

	kill(-s->pid, SIGTERM);
	for (left = SPAWN_END_MS; left > 0; left -= SPAWN_LOOK_MS) {
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid)
			break;
		poll(NULL, 0, SPAWN_LOOK_MS);
	}
	/* What is left of its group, too. */
	kill(-s->pid, SIGKILL);
	if (left <= 0)
		waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void spawn_stop(struct spawn *s)
{
	if (s->pid)
		spawn_end(s);
	close_fd(&s->stdin_fd);
	if (!s->dir[0])
		return;
	unlink(s->socket);
	unlink(s->log);
	rmdir(s->dir);
	s->dir[0] = '\0';
}

void spawn_last_words(const struct spawn *s, char *text, size_t size)
{
	FILE *f = fopen(s->log, "re");
	char line[256];

	text[0] = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0])
			snprintf(text, size, "%s", line);
	}
	if (f)
		fclose(f);
}
