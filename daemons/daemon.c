/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a daemon, from the command line to the exit status.
 *
 * daemon_serve() is the sequence.  The main thread is the control worker; with --threads
 * others serve the queues.  The end begins with daemon_stop(), in the loop, because of
 * a signal or of a connection which was the only one; it removes the socket, so that nobody
 * comes any more, and stops the device, which drains.  When that is done the loop ends, and
 * what was made is taken apart in reverse order, as after a start which failed.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "util.h"

#define WIDTH_MAX 2
#define QUEUE_SIZE_DEFAULT 1024

/* Sanitizers make system calls of their own. */
#ifdef SANITIZED
#define SANDBOX_DEFAULT SANDBOX_NONE
#define SANDBOX_DEFAULT_TEXT "none, because of the sanitizer"
#else
#define SANDBOX_DEFAULT SANDBOX_FULL
#define SANDBOX_DEFAULT_TEXT "full"
#endif

enum { LEVEL_ERROR, LEVEL_WARNING, LEVEL_INFO, LEVEL_DEBUG };

const char *const daemon_log_levels[] = {
	[LEVEL_ERROR] = "error", [LEVEL_WARNING] = "warning", [LEVEL_INFO] = "info",
	[LEVEL_DEBUG] = "debug", NULL
};

enum { CHOICE_ON, CHOICE_OFF };

static const char *const on_off[] = { [CHOICE_ON] = "on", [CHOICE_OFF] = "off", NULL };

static const enum vhost_log_level log_level_of[] = {
	[LEVEL_ERROR] = VHOST_LOG_ERR, [LEVEL_WARNING] = VHOST_LOG_WARN,
	[LEVEL_INFO] = VHOST_LOG_INFO, [LEVEL_DEBUG] = VHOST_LOG_DEBUG,
};

/* In the order of enum sandbox_mode and enum seccomp_mode. */
static const char *const sandbox_modes[] = { "full", "basic", "none", NULL };
static const char *const seccomp_modes[] = { "kill", "log", "off", NULL };

#define FIELD(field) .offset = offsetof(struct daemon_conf, field)

static const struct option_def common_options[] = {
	{ "socket-path", OPTION_TEXT, FIELD(socket_path), .arg = "PATH",
	  .help = "listen on a Unix socket at PATH" },
	{ "fd", OPTION_NUMBER, FIELD(fd), .arg = "N", .max = INT32_MAX,
	  .help = "serve the listening or connected socket which is file descriptor N" },
	{ "connect", OPTION_TEXT, FIELD(connect), .arg = "PATH",
	  .help = "connect to the front-end which listens on a Unix socket at PATH" },
	{ "queue-size", OPTION_NUMBER, FIELD(queue_size), .arg = "N", .min = 1, .max = 32768,
	  .help = "longest ring which a front-end may set up (default 1024)" },
	{ "threads", OPTION_NUMBER, FIELD(threads), .arg = "N", .max = THREADS_MAX,
	  .help = "threads which serve the queues (default 0: the main thread does)" },
	{ "poll-us", OPTION_NUMBER, FIELD(poll_us), .arg = "N", .max = 1000000,
	  .help = "poll up to N microseconds before sleeping, if it helps (default 50)" },
	{ "packed", OPTION_CHOICE, FIELD(packed), .choices = on_off,
	  .help = "whether to offer packed virtqueues (default on)" },
	{ "iommu", OPTION_FLAG, FIELD(iommu),
	  .help = "offer to work behind an IOMMU which the front-end emulates" },
	{ "handshake-timeout", OPTION_NUMBER, FIELD(handshake_timeout), .arg = "SECONDS",
	  .max = 86400,
	  .help = "how long to wait for a front-end which owes a word (default 30)" },
	{ "log-level", OPTION_CHOICE, FIELD(log_level), .choices = daemon_log_levels,
	  .help = "what to say on stderr (default info)" },
	{ "control", OPTION_TEXT, FIELD(control), .arg = "PATH",
	  .help = "listen for vhostctl and the like on a Unix socket at PATH" },
	{ "sandbox", OPTION_CHOICE, FIELD(sandbox), .choices = sandbox_modes,
	  .help = "what to renounce of the user's rights (default " SANDBOX_DEFAULT_TEXT ")" },
	{ "seccomp", OPTION_CHOICE, FIELD(seccomp), .choices = seccomp_modes,
	  .help = "what an unexpected system call costs with --sandbox=full (default kill)" },
	{ "user", OPTION_TEXT, FIELD(user), .arg = "NAME", .help = "become this user" },
	{ "group", OPTION_TEXT, FIELD(group), .arg = "NAME", .help = "become a member of this group" },
	{ "metrics", OPTION_TEXT, FIELD(metrics), .arg = "PATH",
	  .help = "give statistics as OpenMetrics text at a Unix socket at PATH" },
	{ "config", OPTION_TEXT, FIELD(config), .arg = "FILE",
	  .help = "take options from FILE, a JSON object with their names as keys" },
	{ "check-config", OPTION_ACTION,
	  .help = "say whether the options are right, and exit" },
	{ "print-config", OPTION_ACTION,
	  .help = "print the options as --config would read them, and exit" },
	{ "print-capabilities", OPTION_ACTION,
	  .help = "print the capabilities as JSON, and exit" },
	{ "help", OPTION_ACTION, .help = "print this help, and exit" },
	{ "version", OPTION_ACTION, .help = "print the version, and exit" },
	{ 0 }
};

const struct daemon_queues daemon_request_queues = {
	.option = { { "num-queues", OPTION_NUMBER, FIELD(num_queues), .arg = "N",
		      .min = 1, .max = 256,
		      .help = "number of request queues, 1 to 256 (default 16)" } },
	.noun = "queues",
	.count = 16,
	.width = 1,
};

/*
 * With a control queue these are 255 of the 256 virtqueues which a device may have: SET_VRING_KICK
 * and SET_VRING_CALL number the queue with 8 bits of their 64 (VHOST_USER_VRING_IDX_MASK), so the
 * eventfds of further ones could not be handed over.
 */
const struct daemon_queues daemon_queue_pairs = {
	.option = { { "queue-pairs", OPTION_NUMBER, FIELD(num_queues), .arg = "N",
		      .min = 1, .max = 127, .limit = "a vhost-user device has up to 256 queues",
		      .help = "pairs of a receive and a transmit queue, 1 to 127 (default 1)" } },
	.noun = "pairs of queues",
	.count = 1,
	.width = 2,
};

#undef FIELD

const struct daemon_conf *daemon_conf(const struct daemon_run *run)
{
	return &run->conf;
}

void *daemon_own(const struct daemon_run *run)
{
	return run->own;
}

struct vhost_worker *daemon_control(const struct daemon_run *run)
{
	return run->control;
}

struct vhost_worker *const *daemon_workers(const struct daemon_run *run, unsigned int *n)
{
	*n = run->num_workers;
	return run->workers;
}

unsigned int daemon_dev_flags(const struct daemon_conf *conf)
{
	/* Who is never asked need not measure. */
	return (conf->iommu ? VHOST_DEV_IOMMU : 0) |
	       (conf->control || conf->metrics ? VHOST_DEV_LATENCY : 0);
}

uint64_t daemon_dev_features_off(const struct daemon_conf *conf)
{
	return conf->packed == CHOICE_OFF ? BIT(VIRTIO_F_RING_PACKED) : 0;
}

void daemon_set_level(struct daemon_run *run, unsigned int level)
{
	const struct option_def *def;
	struct option_table *table = options_find(run->tables, ARRAY_SIZE(run->tables),
						  "log-level", strlen("log-level"), &def);

	run->conf.log_level = level;
	table->given |= BIT(def - table->defs);
	daemon_log_set_level(log_level_of[level]);
}

/*
 * Options
 */

static void print_capabilities(const struct daemon *d)
{
	unsigned int i;

	printf("{\"type\":\"%s\",\"features\":[", d->type);
	for (i = 0; d->features[i]; i++)
		printf("%s\"%s\"", i ? "," : "", d->features[i]);
	printf("]}\n");
}

static void print_help(const struct daemon *d)
{
	printf("usage: %s OPTION...\n\n%s\n\n", d->name, d->summary);
	options_help(d->options, stdout);
	printf("\n");
	options_help(d->queues->option, stdout);
	options_help(common_options, stdout);
	printf("\nSee %s(1).\n", d->name);
}

static void print_version(const struct daemon *d)
{
	printf("%s %s\n", d->name, PACKAGE_VERSION);
}

/* Options which only print something: they win against all others, sensible or not. */
static const struct {
	const char *name;
	void (*print)(const struct daemon *d);
} actions[] = {
	{ "print-capabilities", print_capabilities },
	{ "help", print_help },
	{ "version", print_version },
};

/* Whether there was such an option; it has set the exit status. */
static bool daemon_act(const struct daemon *d, int argc, char **argv, int *status)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!options_asked(argc, argv, actions[i].name))
			continue;
		actions[i].print(d);
		*status = DAEMON_OK;
		if (fflush(stdout)) {
			daemon_err("--%s: %s", actions[i].name, strerror(errno));
			*status = DAEMON_FAILED;
		}
		return true;
	}
	return false;
}

/* There must be one place where front-ends come from; NULL, or what is wrong. */
static const char *daemon_check_source(struct daemon_run *run)
{
	const struct daemon_conf *conf = &run->conf;
	int given = !!conf->socket_path + (conf->fd >= 0) + !!conf->connect;

	run->passed_control = daemon_systemd_take("control");
	run->passed_fd = daemon_systemd_take_only();
	if (run->passed_control >= 0 && conf->control)
		return "--control: LISTEN_FDS has its socket already";
	if (given > 1)
		return "--socket-path, --fd, --connect: only one of them can be given";
	if (run->passed_fd == -E2BIG)
		return "LISTEN_FDS: more than one socket";
	if (run->passed_fd >= 0 && given)
		return "--socket-path, --fd, --connect: LISTEN_FDS has a socket already";
	/* Who only asks may leave it to the service manager. */
	if (run->passed_fd < 0 && !given && !run->only_check)
		return "--socket-path, --fd or --connect: one of them is required";
	return NULL;
}

static int daemon_check(struct daemon_run *run)
{
	const struct daemon_conf *conf = &run->conf;
	const char *why = daemon_check_source(run);

	if (why) {
		daemon_err("%s", why);
		return -EINVAL;
	}
	if (conf->threads > conf->num_queues) {
		daemon_err("--threads=%u: more than queues, of which there are --%s=%u",
			   conf->threads, run->daemon->queues->option[0].name, conf->num_queues);
		return -EINVAL;
	}
	return run->daemon->check(run);
}

/* The options are right: print them if that was asked for.  The exit status. */
static int daemon_check_only(struct daemon_run *run, bool print)
{
	if (print)
		daemon_config_print(run);
	if (!fflush(stdout))
		return DAEMON_OK;
	daemon_err("--print-config: %s", strerror(errno));
	return DAEMON_FAILED;
}

static int daemon_configure(struct daemon_run *run, int argc, char **argv)
{
	const struct option_table tables[] = {
		{ .defs = run->daemon->options, .values = run->own },
		{ .defs = run->daemon->queues->option, .values = &run->conf },
		{ .defs = common_options, .values = &run->conf },
	};
	int ret;

	memcpy(run->tables, tables, sizeof(tables));
	ret = options_parse(run->tables, ARRAY_SIZE(run->tables), argc, argv);
	if (!ret)
		ret = daemon_config_read(run);
	if (!ret)
		ret = daemon_check(run);
	if (!ret)
		daemon_log_set_level(log_level_of[run->conf.log_level]);
	return ret;
}

/*
 * Sandbox
 */

void daemon_need_file(struct daemon_run *run, const char *path, enum daemon_access access)
{
	sandbox_need_file(&run->sandbox, path, access);
}

void daemon_need_image(struct daemon_run *run, const char *path, bool read_only, uint64_t size)
{
	struct stat sb;
	bool there = !stat(path, &sb);

	daemon_need_file(run, path, read_only ? DAEMON_READ : !there && size ? DAEMON_MAKE :
			 DAEMON_WRITE);
	/* What the kernel says about it. */
	if (there && S_ISBLK(sb.st_mode))
		daemon_need_file(run, "/sys/devices", DAEMON_READ);
}

void daemon_need_cap(struct daemon_run *run, unsigned int cap)
{
	sandbox_need_cap(&run->sandbox, cap);
}

static int daemon_renounce(struct daemon_run *run)
{
	const struct daemon_conf *conf = &run->conf;
	struct sandbox *s = &run->sandbox;

	s->mode = conf->sandbox;
	s->seccomp = conf->seccomp;
	s->user = conf->user;
	s->group = conf->group;
	s->ioctls = run->daemon->ioctls;
	if (conf->socket_path)
		daemon_need_file(run, conf->socket_path, DAEMON_SOCKET);
	if (conf->control)
		daemon_need_file(run, conf->control, DAEMON_SOCKET);
	if (conf->metrics)
		daemon_need_file(run, conf->metrics, DAEMON_SOCKET);
	/* For a postcopy migration, if the system call is not for us. */
	daemon_need_file(run, "/dev/userfaultfd", DAEMON_WRITE);
	run->daemon->needs(run);
	return sandbox_early(s);
}

/*
 * Workers
 */

static int daemon_start_worker(struct daemon_run *run, unsigned int i)
{
	struct vhost_worker *w;
	char name[24];
	int ret = vhost_worker_new(&w, NULL);

	if (ret)
		return ret;
	snprintf(name, sizeof(name), "queues-%u", i);
	vhost_worker_set_poll(w, run->conf.poll_us);
	ret = vhost_worker_start(w, name);
	if (ret) {
		vhost_worker_free(w);
		return ret;
	}
	run->workers[run->num_workers++] = w;
	return 0;
}

static int daemon_start_workers(struct daemon_run *run)
{
	unsigned int i;
	int ret = 0;

	if (!run->conf.threads)
		vhost_worker_set_poll(run->control, run->conf.poll_us);
	for (i = 0; !ret && i < run->conf.threads; i++)
		ret = daemon_start_worker(run, i);
	if (ret)
		daemon_err("--threads=%u: %s", run->conf.threads, strerror(-ret));
	return ret;
}

static void daemon_end_workers(struct daemon_run *run)
{
	while (run->num_workers) {
		struct vhost_worker *w = run->workers[--run->num_workers];

		vhost_worker_stop(w);
		vhost_worker_free(w);
	}
}

/*
 * The loop
 */

static void daemon_stopped(struct vhost_dev *dev, void *arg)
{
	struct daemon_run *run = arg;

	(void)dev;
	vhost_worker_stop(run->control);
}

void daemon_stop(void *arg)
{
	struct daemon_run *run = arg;

	if (run->stopping)
		return;
	run->stopping = true;
	daemon_systemd_stopping();
	daemon_sock_remove(&run->sock);
	daemon_sock_remove(&run->control_sock);
	daemon_sock_remove(&run->metrics_sock);
	vhost_dev_stop(run->dev, daemon_stopped, run);
}

static void daemon_stop_posted(struct vhost_work *work)
{
	daemon_stop(container_of(work, struct daemon_run, stop_work));
}

void daemon_status(const struct daemon_run *run, char *text, size_t size)
{
	if (run->stopping)
		snprintf(text, size, "stopping");
	else if (run->connected)
		snprintf(text, size, "front-end connected; %u %s of up to %u entries",
			 run->conf.num_queues, run->daemon->queues->noun,
			 run->conf.queue_size ? run->conf.queue_size : QUEUE_SIZE_DEFAULT);
	else
		snprintf(text, size, "waiting for a front-end");
}

void daemon_connection(struct daemon_run *run, bool up)
{
	char status[DAEMON_STATUS_SIZE];

	run->connected = up;
	run->connected_at = time(NULL);
	daemon_status(run, status, sizeof(status));
	if (!run->stopping)
		daemon_systemd_status(status);
	if (up || run->sock.listening || run->conf.connect || run->stopping)
		return;
	/* The device is in the middle of taking leave from this connection. */
	run->stop_work.fn = daemon_stop_posted;
	vhost_worker_post(run->control, &run->stop_work);
}

/* Serve the socket, whose fd is the device's from now on; or call at the front-end's. */
static int daemon_serve_socket(struct daemon_run *run)
{
	int fd = run->sock.fd;

	run->sock.fd = -1;
	if (run->conf.connect)
		return vhost_dev_connect(run->dev, run->control, run->conf.connect);
	if (run->sock.listening)
		return vhost_dev_listen(run->dev, run->control, fd);
	return vhost_dev_attach(run->dev, run->control, fd);
}

/* Deal the queues out to the workers, those which belong together to the same one. */
static void daemon_bind(struct daemon_run *run)
{
	struct vhost_worker *workers[THREADS_MAX * WIDTH_MAX];
	unsigned int i, n = run->num_workers * run->daemon->queues->width;

	for (i = 0; i < n; i++)
		workers[i] = run->workers[i / run->daemon->queues->width];
	if (n && !run->daemon->binds)
		vhost_dev_bind(run->dev, workers, n);
}

/* The socket's fd, which it has no more; negative: there is none. */
static int daemon_sock_take(struct daemon_sock *sock)
{
	int fd = sock->fd;

	sock->fd = -1;
	return fd;
}

/* From now on the sockets beside the front-end's are served, those which there are. */
static int daemon_serve_control(struct daemon_run *run)
{
	int ret = stats_new(run);

	if (!ret)
		ret = limits_new(run);
	if (!ret && run->control_sock.fd >= 0)
		ret = control_open(run, daemon_sock_take(&run->control_sock));
	if (!ret && run->metrics_sock.fd >= 0)
		ret = metrics_open(run, daemon_sock_take(&run->metrics_sock));
	if (ret)
		daemon_err("cannot serve the control socket: %s", strerror(-ret));
	return ret;
}

static int daemon_attach(struct daemon_run *run)
{
	int ret;

	daemon_bind(run);
	vhost_dev_set_patience(run->dev, run->conf.handshake_timeout * 1000);
	ret = daemon_serve_socket(run);
	if (ret)
		daemon_err("cannot serve the socket: %s", strerror(-ret));
	return ret;
}

static int daemon_ready(struct daemon_run *run)
{
	char status[DAEMON_STATUS_SIZE];
	int ret;

	daemon_status(run, status, sizeof(status));
	ret = daemon_systemd_ready(vhost_worker_base(run->control), status);
	if (ret)
		daemon_err("cannot watch the loop: %s", strerror(-ret));
	return ret;
}

static int daemon_loop(struct daemon_run *run)
{
	int ret = daemon_signals_watch(&run->signals, vhost_worker_base(run->control),
				       daemon_stop, run);

	if (ret) {
		daemon_err("cannot wait for signals: %s", strerror(-ret));
		return ret;
	}
	ret = daemon_serve_control(run);
	if (!ret)
		ret = daemon_attach(run);
	if (!ret)
		ret = sandbox_late(&run->sandbox);
	if (!ret)
		ret = daemon_ready(run);
	if (!ret)
		vhost_worker_run(run->control);
	daemon_signals_unwatch(run->signals);
	return ret;
}

/*
 * The sequence
 */

static int daemon_listen(struct daemon_run *run)
{
	int ret = daemon_sock_listen(&run->sock, "socket-path", run->conf.socket_path);

	if (!ret)
		ret = daemon_sock_listen(&run->control_sock, "control", run->conf.control);
	if (!ret)
		ret = daemon_sock_listen(&run->metrics_sock, "metrics", run->conf.metrics);
	return ret;
}

static int daemon_serve(struct daemon_run *run)
{
	const struct daemon *d = run->daemon;
	bool served = false;
	int ret = vhost_worker_new(&run->control, NULL);

	if (ret) {
		daemon_err("cannot make an event loop: %s", strerror(-ret));
		return ret;
	}
	ret = d->open(run);
	if (ret)
		goto free_control;
	ret = daemon_listen(run);
	if (ret)
		goto remove_sockets;
	ret = daemon_start_workers(run);
	if (ret)
		goto end_workers;
	ret = d->create(run, &run->dev);
	if (ret)
		goto end_workers;
	ret = daemon_loop(run);
	served = !ret;
	limits_release(run);
	d->destroy(run);
end_workers:
	daemon_end_workers(run);
remove_sockets:
	daemon_sock_remove(&run->sock);
	daemon_sock_remove(&run->control_sock);
	daemon_sock_remove(&run->metrics_sock);
	d->close(run, served);
free_control:
	/* Until now the end of what a call has begun may have come. */
	control_close(run);
	metrics_close(run);
	daemon_systemd_close();
	vhost_worker_free(run->control);
	stats_free(run);
	limits_free(run);
	return ret;
}

/* The sockets which we were given, if there are any. */
static int daemon_adopt(struct daemon_run *run)
{
	int ret;

	if (run->passed_control >= 0) {
		ret = daemon_sock_adopt(&run->control_sock, "LISTEN_FDS", run->passed_control);
		if (!ret && !run->control_sock.listening) {
			daemon_err("LISTEN_FDS: the control socket does not listen");
			ret = -EINVAL;
		}
		if (ret)
			return ret;
	}
	if (run->passed_fd >= 0)
		return daemon_sock_adopt(&run->sock, "LISTEN_FDS", run->passed_fd);
	if (run->conf.fd >= 0)
		return daemon_sock_adopt(&run->sock, "--fd", run->conf.fd);
	return 0;
}

/* What is opened later must not become stdin, stdout or stderr: somebody would write to it. */
static void daemon_open_std_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* All is known that there is to know.  The exit status. */
static int daemon_start(struct daemon_run *run)
{
	int status = DAEMON_FAILED;

	daemon_signals_init();
	if (!daemon_adopt(run) && !daemon_renounce(run) && !daemon_serve(run))
		status = DAEMON_OK;
	close_fd(&run->sock.fd);
	close_fd(&run->control_sock.fd);
	close_fd(&run->metrics_sock.fd);
	return status;
}

/* All that a run needs from the command line on; the exit status. */
static int daemon_live(struct daemon_run *run, int argc, char **argv)
{
	const struct daemon *d = run->daemon;
	bool print = options_asked(argc, argv, "print-config");
	int status;

	run->own = calloc(1, d->own_size);
	if (!run->own) {
		daemon_err("%s", strerror(ENOMEM));
		return DAEMON_FAILED;
	}
	run->only_check = print || options_asked(argc, argv, "check-config");
	if (daemon_configure(run, argc, argv))
		status = DAEMON_USAGE;
	else if (d->judge && d->judge(run))
		status = DAEMON_FAILED;
	else
		status = run->only_check ? daemon_check_only(run, print) : daemon_start(run);
	if (d->forget)
		d->forget(run);
	json_object_put(run->config);
	free(run->own);
	return status;
}

int daemon_main(const struct daemon *d, int argc, char **argv)
{
	struct daemon_run run = {
		.daemon = d,
		.conf = { .fd = -1, .num_queues = d->queues->count, .log_level = LEVEL_INFO,
			  .handshake_timeout = 30, .poll_us = 50, .sandbox = SANDBOX_DEFAULT },
		.sock = DAEMON_SOCK_NONE,
		.control_sock = DAEMON_SOCK_NONE,
		.metrics_sock = DAEMON_SOCK_NONE,
		.started_at = time(NULL),
		.passed_fd = -ENOENT,
		.passed_control = -ENOENT,
	};
	int status = DAEMON_FAILED;

	daemon_open_std_fds();
	daemon_log_open(d->name);
	if (daemon_act(d, argc, argv, &status))
		return status;
	sandbox_init(&run.sandbox);
	if (!daemon_systemd_open())
		status = daemon_live(&run, argc, argv);
	sandbox_exit(&run.sandbox);
	daemon_systemd_close();
	return status;
}
