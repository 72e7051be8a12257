/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the sandbox leaves to somebody who has taken the process over.
 *
 * Each trial is a process of its own which enters the sandbox, as a daemon does, and then
 * tries something; it says by its end what came of it.  Each trial is made once more with
 * the sandbox off, where it must succeed: else it would prove nothing.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemons/internal.h"
#include "daemons/sandbox.h"
#include "tests/tap.h"

static char dir[64], image[96], other[96], made[96], made_new[96], sock[96];

static void make_file(char path[96], const char *name, bool create)
{
	int fd;

	snprintf(path, 96, "%.60s/%s", dir, name);
	if (!create)
		return;
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%.40s/sandbox.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	make_file(image, "image", true);
	make_file(other, "other", true);
	snprintf(made, sizeof(made), "%.60s/sub", dir);
	ck_assert_int_eq(mkdir(made, 0700), 0);
	make_file(made, "sub/made", false);
	make_file(made_new, "sub/made.new", false);
	make_file(sock, "sub/sock", false);
}

static void teardown(void)
{
	unlink(image);
	unlink(other);
	unlink(made);
	unlink(made_new);
	unlink(sock);
	snprintf(made, sizeof(made), "%.60s/sub", dir);
	rmdir(made);
	rmdir(dir);
}

/*
 * Trials: 0, or an errno
 */

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int open_image(void)
{
	return try_open(image, O_RDWR);
}

static int open_other(void)
{
	return try_open(other, O_RDONLY);
}

static int open_passwd(void)
{
	return try_open("/etc/passwd", O_RDONLY);
}

static int open_proc(void)
{
	return try_open("/proc/self/mem", O_RDWR);
}

static int make_beside_image(void)
{
	return try_open(made_new, 0) == ENOENT ? try_open(dir, O_TMPFILE | O_RDWR) : EEXIST;
}

static int remove_other(void)
{
	return unlink(other) ? errno : 0;
}

static int replace_made(void)
{
	int err = try_open(made_new, O_CREAT | O_WRONLY);

	return err ? err : rename(made_new, made) ? errno : 0;
}

static int execute(void)
{
	char *args[] = { (char *)"true", NULL };

	execv("/bin/true", args);
	return errno;
}

static int make_process(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return pid < 0 ? errno : waitpid(pid, NULL, 0) == pid ? 0 : errno;
}

static int signal_parent(void)
{
	return kill(getppid(), 0) ? errno : 0;
}

static int trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? errno : 0;
}

static int inet_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : close(fd);
}

static int unix_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : close(fd);
}

static int memory_to_code(void)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, 4096, PROT_READ | PROT_EXEC) ? errno : 0;
}

static int map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED ? errno : 0;
}

static int push_input(void)
{
	/* Where there is no terminal it gets as far as the kernel. */
	return ioctl(STDIN_FILENO, TIOCSTI, "x") && errno != ENOTTY && errno != EIO &&
	       errno != EPERM ? errno : 0;
}

static int new_namespace(void)
{
	return unshare(CLONE_NEWUSER) && errno != EINVAL && errno != ENOSPC && errno != EPERM ?
	       errno : 0;
}

static void *thread_fn(void *arg)
{
	*(int *)arg = inet_socket();
	return NULL;
}

static int thread_inet_socket(void)
{
	pthread_t thread;
	int err = 0;

	if (pthread_create(&thread, NULL, thread_fn, &err) || pthread_join(thread, NULL))
		return EAGAIN;
	return err;
}

static pthread_barrier_t begin;

static void *early_thread_fn(void *arg)
{
	pthread_barrier_wait(&begin);
	return thread_fn(arg);
}

/* For a thread which was there before the filter was. */
static pthread_t early_thread;
static int early_err;

static int early_thread_inet_socket(void)
{
	pthread_barrier_wait(&begin);
	return pthread_join(early_thread, NULL) ? EAGAIN : early_err;
}

#define KILLED (-SIGSYS)

static const struct trial {
	const char *name;
	int (*fn)(void);
	int result;			/* in the sandbox: errno, or KILLED */
} trials[] = {
	{ "open the image", open_image, 0 },
	{ "open another file", open_other, EACCES },
	{ "open /etc/passwd", open_passwd, EACCES },
	{ "open /proc/self/mem", open_proc, EACCES },
	{ "make a file beside the image", make_beside_image, EACCES },
	{ "remove another file", remove_other, EACCES },
	{ "replace what it may make", replace_made, 0 },
	{ "execute a program", execute, KILLED },
	{ "make a process", make_process, KILLED },
	{ "signal another process", signal_parent, KILLED },
	{ "trace", trace, KILLED },
	{ "make an IP socket", inet_socket, KILLED },
	{ "make a Unix socket", unix_socket, 0 },
	{ "make memory executable", memory_to_code, KILLED },
	{ "map executable memory", map_code, KILLED },
	{ "type into the terminal", push_input, KILLED },
	{ "make a name space", new_namespace, KILLED },
	{ "make an IP socket from a new thread", thread_inet_socket, KILLED },
	{ "make an IP socket from an old thread", early_thread_inet_socket, KILLED },
};

#define TRIALS (sizeof(trials) / sizeof(trials[0]))

static int enter(struct sandbox *s)
{
	int ret;

	sandbox_init(s);
	sandbox_need_file(s, image, DAEMON_WRITE);
	sandbox_need_file(s, made, DAEMON_MAKE);
	ret = sandbox_early(s);
	pthread_barrier_init(&begin, NULL, 2);
	if (!ret && pthread_create(&early_thread, NULL, early_thread_fn, &early_err))
		ret = -EAGAIN;
	if (!ret)
		ret = sandbox_late(s);
	return ret;
}

/* The result of a trial: errno, or the negative signal which ended it; 200: no sandbox. */
static int result_of(const struct trial *t, struct sandbox s)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid)
		_exit(enter(&s) ? 200 : t->fn());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

START_TEST(full)
{
	const struct trial *t = &trials[_i];
	const struct sandbox s = { .mode = SANDBOX_FULL };

	if (t->result == EACCES && !has_landlock()) {
		printf("# not tried, since there is no Landlock: %s\n", t->name);
		return;
	}
	ck_assert_msg(result_of(t, s) == t->result, "%s: %d", t->name, result_of(t, s));
}
END_TEST

START_TEST(none)
{
	const struct trial *t = &trials[_i];
	const struct sandbox s = { .mode = SANDBOX_NONE };

	ck_assert_msg(result_of(t, s) == 0, "%s: %d", t->name, result_of(t, s));
}
END_TEST

/* The system call is made, and the kernel's log has it. */
START_TEST(seccomp_log)
{
	const struct trial *t = &trials[_i];
	const struct sandbox s = { .mode = SANDBOX_FULL, .seccomp = SECCOMP_LOG };

	ck_assert_msg(result_of(t, s) == (t->result == KILLED ? 0 : t->result) ||
		      /* Landlock has a word to say here, too. */
		      result_of(t, s) == EPERM || result_of(t, s) == EACCES,
		      "%s: %d", t->name, result_of(t, s));
}
END_TEST

/* Descriptors which were there before are closed, but for those which somebody took over. */
static int strays(void)
{
	struct sandbox s = { .mode = SANDBOX_BASIC };
	int stray = dup(STDERR_FILENO), taken = dup(STDERR_FILENO), ours;

	sandbox_init(&s);
	fcntl(taken, F_SETFD, FD_CLOEXEC);
	if (sandbox_early(&s))
		return 200;
	ours = dup(STDERR_FILENO);
	if (sandbox_late(&s))
		return 201;
	if (fcntl(stray, F_GETFD) >= 0 || fcntl(taken, F_GETFD) < 0 || fcntl(ours, F_GETFD) < 0)
		return 202;
	sandbox_exit(&s);
	return 0;
}

START_TEST(strays_are_closed)
{
	const struct trial t = { "strays", strays, 0 };

	/* Whatever runs this test may have left some itself. */
	ck_assert_int_eq(result_of(&t, (struct sandbox){ .mode = SANDBOX_NONE }), 0);
}
END_TEST

int main(void)
{
	Suite *suite;
	TCase *tc;

#ifdef SANITIZED
	printf("1..0 # SKIP sanitizers make system calls of their own\n");
	return 0;
#endif
	suite = suite_create("sandbox");
	tc = tcase_create("sandbox");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, full, 0, TRIALS);
	tcase_add_loop_test(tc, none, 0, TRIALS);
	tcase_add_loop_test(tc, seccomp_log, 0, TRIALS);
	tcase_add_test(tc, strays_are_closed);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
