/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a daemon, from the command line to the exit status.
 *
 * daemon_serve() is the sequence; what it does to each device is in device.c.  The main thread is
 * the control worker of all devices; with --threads others serve the queues.  The end begins with
 * daemon_stop(), in the loop, because of a signal or of a connection which was the last one; it
 * removes the sockets, so that nobody comes any more, and stops the devices, which drain.  When
 * that is done the loop ends, and what was made is taken apart in reverse order, as after a start
 * which failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "util.h"

/*
 * Options
 */

void daemon_set_level(struct daemon_run *run, unsigned int level)
{
	const struct option_def *def;
	struct option_table *table = options_find(run->tables, ARRAY_SIZE(run->tables),
						  "log-level", strlen("log-level"), &def);

	run->conf.log_level = level;
	table->given |= BIT(def - table->defs);
	daemon_log_set_level(common_log_level(level));
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
	int ret = options_parse(run->tables, ARRAY_SIZE(run->tables), argc, argv);

	if (!ret)
		ret = daemon_config_read(run);
	if (!ret)
		ret = daemon_check(run);
	if (!ret)
		daemon_log_set_level(common_log_level(run->conf.log_level));
	return ret;
}

/* Whether all devices can have these values; what each cannot has been logged. */
static int daemon_judge(struct daemon_run *run)
{
	struct daemon_device *device;
	int ret = 0;

	for_each_device(device, run)
		if (run->daemon->judge && run->daemon->judge(device))
			ret = -EINVAL;
	return ret;
}

/*
 * Sandbox
 */

static void daemon_need_socket(struct daemon_run *run, const char *path)
{
	if (path)
		sandbox_need_file(&run->sandbox, path, DAEMON_SOCKET);
}

static int daemon_renounce(struct daemon_run *run)
{
	const struct process_conf *conf = &run->conf;
	struct sandbox *s = &run->sandbox;
	struct daemon_device *device;

	s->mode = conf->sandbox;
	s->seccomp = conf->seccomp;
	s->user = conf->user;
	s->group = conf->group;
	s->ioctls = run->daemon->ioctls;
	daemon_need_socket(run, conf->control);
	daemon_need_socket(run, conf->metrics);
	/* For a postcopy migration, if the system call is not for us. */
	sandbox_need_file(s, "/dev/userfaultfd", DAEMON_WRITE);
	for_each_device(device, run) {
		daemon_need_socket(run, device->conf.socket_path);
		run->daemon->needs(device);
	}
	return sandbox_early(s);
}

/*
 * Sockets
 */

static int daemon_adopt_device(struct daemon_device *device)
{
	if (device->passed_fd >= 0)
		return daemon_sock_adopt(&device->sock, "LISTEN_FDS", device->passed_fd);
	if (device->conf.fd >= 0)
		return daemon_sock_adopt(&device->sock, "--fd", device->conf.fd);
	return 0;
}

/* The sockets which we were given, if there are any. */
static int daemon_adopt(struct daemon_run *run)
{
	struct daemon_device *device;
	int ret = 0;

	if (run->passed_control >= 0) {
		ret = daemon_sock_adopt(&run->control_sock, "LISTEN_FDS", run->passed_control);
		if (!ret && !run->control_sock.listening) {
			daemon_err("LISTEN_FDS: the control socket does not listen");
			ret = -EINVAL;
		}
	}
	for_each_device(device, run)
		if (!ret)
			ret = daemon_adopt_device(device);
	return ret;
}

static int daemon_listen(struct daemon_run *run)
{
	struct daemon_device *device;
	int ret = 0;

	for_each_device(device, run)
		if (!ret)
			ret = daemon_sock_listen(&device->sock, "socket-path",
						 device->conf.socket_path);
	if (!ret)
		ret = daemon_sock_listen(&run->control_sock, "control", run->conf.control);
	if (!ret)
		ret = daemon_sock_listen(&run->metrics_sock, "metrics", run->conf.metrics);
	return ret;
}

static void daemon_remove_sockets(struct daemon_run *run)
{
	struct daemon_device *device;

	for_each_device(device, run)
		daemon_sock_remove(&device->sock);
	daemon_sock_remove(&run->control_sock);
	daemon_sock_remove(&run->metrics_sock);
}

/*
 * Devices
 */

static int daemon_open_devices(struct daemon_run *run)
{
	struct daemon_device *device;
	int ret = 0;

	for_each_device(device, run) {
		if (!ret)
			ret = run->daemon->open(device);
		device->opened = !ret;
	}
	return ret;
}

static void daemon_close_devices(struct daemon_run *run, bool served)
{
	struct daemon_device *device;

	for_each_device(device, run)
		if (device->opened)
			run->daemon->close(device, served);
}

static int daemon_create_devices(struct daemon_run *run)
{
	struct daemon_device *device;
	int ret = 0;

	for_each_device(device, run)
		if (!ret)
			ret = device_create(device);
	return ret;
}

static void daemon_destroy_devices(struct daemon_run *run)
{
	struct daemon_device *device;

	for_each_device(device, run)
		if (device->dev)
			device_destroy(device);
}

static int daemon_serve_devices(struct daemon_run *run)
{
	struct daemon_device *device;
	int ret = 0;

	for_each_device(device, run)
		if (!ret)
			ret = device_serve(device);
	return ret;
}

/*
 * The end
 */

static void daemon_stopped(struct vhost_dev *dev, void *arg)
{
	struct daemon_run *run = arg;

	(void)dev;
	if (!--run->serving)
		vhost_worker_stop(run->control);
}

/* One which has not been served yet has stopped at once. */
static void daemon_stop_devices(struct daemon_run *run)
{
	struct daemon_device *device;

	run->stopping = true;
	run->serving = run->num_devices;
	for_each_device(device, run)
		vhost_dev_stop(device->dev, daemon_stopped, run);
}

void daemon_stop(void *arg)
{
	struct daemon_run *run = arg;

	if (run->stopping)
		return;
	daemon_systemd_stopping();
	daemon_remove_sockets(run);
	daemon_stop_devices(run);
}

/*
 * What goes on
 */

void daemon_status(const struct daemon_run *run, char *text, size_t size)
{
	const struct daemon_device *device;
	unsigned int connected = 0;

	if (run->num_devices == 1 || run->stopping) {
		device_status(run->devices, text, size);
		return;
	}
	for_each_device(device, run)
		connected += device->connected;
	snprintf(text, size, "%u of %u front-ends connected", connected, run->num_devices);
}

void daemon_tell_status(const struct daemon_run *run)
{
	char status[DAEMON_STATUS_SIZE];

	daemon_status(run, status, sizeof(status));
	daemon_systemd_status(status);
}

/*
 * The loop
 */

/* The socket's fd, which it has no more; negative: there is none. */
static int daemon_sock_take(struct daemon_sock *sock)
{
	int fd = sock->fd;

	sock->fd = -1;
	return fd;
}

/* From now on the sockets beside the front-ends' are served, those which there are. */
static int daemon_serve_control(struct daemon_run *run)
{
	struct daemon_device *device;
	int ret = stats_new(run);

	for_each_device(device, run)
		if (!ret)
			ret = limits_new(device);
	if (!ret && run->control_sock.fd >= 0)
		ret = control_open(run, daemon_sock_take(&run->control_sock));
	if (!ret && run->metrics_sock.fd >= 0)
		ret = metrics_open(run, daemon_sock_take(&run->metrics_sock));
	if (ret)
		daemon_err("cannot serve the control socket: %s", strerror(-ret));
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
		ret = daemon_serve_devices(run);
	if (!ret)
		ret = sandbox_late(&run->sandbox);
	if (!ret)
		ret = daemon_ready(run);
	/* What is served already has to stop in the loop. */
	if (ret)
		daemon_stop_devices(run);
	vhost_worker_run(run->control);
	daemon_signals_unwatch(run->signals);
	return ret;
}

/*
 * The sequence
 */

static void daemon_free_control(struct daemon_run *run)
{
	struct daemon_device *device;

	/* Until now the end of what a call has begun may have come. */
	control_close(run);
	metrics_close(run);
	daemon_systemd_close();
	vhost_worker_free(run->control);
	stats_free(run);
	for_each_device(device, run)
		limits_free(device);
}

static int daemon_serve(struct daemon_run *run)
{
	int ret = vhost_worker_new(&run->control, NULL);

	if (ret) {
		daemon_err("cannot make an event loop: %s", strerror(-ret));
		return ret;
	}
	ret = daemon_open_devices(run);
	if (!ret)
		ret = daemon_listen(run);
	if (!ret)
		ret = pool_start(run);
	if (!ret)
		ret = daemon_create_devices(run);
	if (!ret)
		ret = daemon_loop(run);
	daemon_destroy_devices(run);
	pool_end(run);
	daemon_remove_sockets(run);
	daemon_close_devices(run, !ret);
	daemon_free_control(run);
	return ret;
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
	close_fd(&run->control_sock.fd);
	close_fd(&run->metrics_sock.fd);
	return status;
}

/* All that a run needs from the command line on; the exit status. */
static int daemon_live(struct daemon_run *run, int argc, char **argv)
{
	bool print = options_asked(argc, argv, "print-config");
	int status;

	run->only_check = print || options_asked(argc, argv, "check-config");
	if (device_new_only(run)) {
		daemon_err("%s", strerror(ENOMEM));
		status = DAEMON_FAILED;
	} else if (daemon_configure(run, argc, argv)) {
		status = DAEMON_USAGE;
	} else if (daemon_judge(run)) {
		status = DAEMON_FAILED;
	} else {
		status = run->only_check ? daemon_check_only(run, print) : daemon_start(run);
	}
	device_free_all(run);
	json_object_put(run->list);
	json_object_put(run->config);
	return status;
}

int daemon_main(const struct daemon *d, int argc, char **argv)
{
	struct daemon_run run = {
		.daemon = d,
		.conf = common_process_default,
		.pool_conf = common_pool_default,
		.control_sock = DAEMON_SOCK_NONE,
		.metrics_sock = DAEMON_SOCK_NONE,
		.started_at = time(NULL),
		.passed_control = -ENOENT,
	};
	int status = DAEMON_FAILED;

	daemon_open_std_fds();
	daemon_log_open(d->name);
	if (common_act(d, argc, argv, &status))
		return status;
	sandbox_init(&run.sandbox);
	if (!daemon_systemd_open())
		status = daemon_live(&run, argc, argv);
	sandbox_exit(&run.sandbox);
	daemon_systemd_close();
	return status;
}
