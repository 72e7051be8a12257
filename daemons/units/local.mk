# SPDX-License-Identifier: BSD-3-Clause
# What a service manager and QEMU's management find the daemons by: one template of each kind.
unit_kinds = blk net scsi

systemdunitdir = @systemdunitdir@
systemdunit_DATA = \
	daemons/units/vhost-user-blk@.service daemons/units/vhost-user-blk@.socket \
	daemons/units/vhost-user-net@.service daemons/units/vhost-user-net@.socket \
	daemons/units/vhost-user-scsi@.service daemons/units/vhost-user-scsi@.socket \
	$(control_sockets)
control_sockets = \
	daemons/units/vhost-user-blk-control@.socket daemons/units/vhost-user-net-control@.socket \
	daemons/units/vhost-user-scsi-control@.socket
sysusersdir = $(prefix)/lib/sysusers.d
sysusers_DATA = \
	daemons/units/sysusers/vhost-user-blk.conf daemons/units/sysusers/vhost-user-net.conf \
	daemons/units/sysusers/vhost-user-scsi.conf
tmpfilesdir = $(prefix)/lib/tmpfiles.d
tmpfiles_DATA = \
	daemons/units/tmpfiles/vhost-user-blk.conf daemons/units/tmpfiles/vhost-user-net.conf \
	daemons/units/tmpfiles/vhost-user-scsi.conf
qemudiscoverydir = $(datadir)/qemu/vhost-user
qemudiscovery_DATA = \
	daemons/qemu/50-vhost-user-blk.json daemons/qemu/50-vhost-user-net.json \
	daemons/qemu/50-vhost-user-scsi.json

completiondir = $(datadir)/bash-completion/completions
completion_DATA = daemons/completion/vhost-user-blk daemons/completion/vhost-user-net \
	daemons/completion/vhost-user-scsi

unit_templates = daemons/completion.bash daemons/units/vhost-user@.service.in daemons/units/vhost-user@.socket.in \
	daemons/units/vhost-user-control@.socket.in daemons/units/vhost-user.sysusers daemons/units/vhost-user.tmpfiles.in \
	daemons/qemu/50-vhost-user.json.in
EXTRA_DIST += $(unit_templates)
CLEANFILES += $(systemdunit_DATA) $(sysusers_DATA) $(tmpfiles_DATA) $(qemudiscovery_DATA) \
	$(completion_DATA)

# The kind is in the name of what is made; lines of other kinds are left out.
unit_edit = kind=`echo $@ | $(SED) -n 's/.*vhost-user-\([a-z]*\).*/\1/p'`; \
	case $$kind in blk) what=Disk type=block ;; net) what=Network type=net ;; \
		*) what='SCSI disks' type=scsi ;; esac; \
	$(MKDIR_P) $(@D) && $(SED) -e "s/^\[$$kind\]\([A-Z]\)/\1/" -e '/^\[[a-z]*\][A-Z]/d' \
		-e '/^\# A line with a kind/d' \
		-e "s|[@]KIND[@]|$$kind|g" -e "s|[@]WHAT[@]|$$what|g" -e "s|[@]TYPE[@]|$$type|g" \
		-e 's|[@]bindir[@]|$(bindir)|g' -e 's|[@]sysconfdir[@]|$(sysconfdir)|g' \
		-e 's|[@]localstatedir[@]|$(localstatedir)|g'

daemons/units/vhost-user-blk@.service daemons/units/vhost-user-net@.service \
daemons/units/vhost-user-scsi@.service: daemons/units/vhost-user@.service.in Makefile
	$(AM_V_GEN)$(unit_edit) $(srcdir)/daemons/units/vhost-user@.service.in >$@

daemons/units/vhost-user-blk@.socket daemons/units/vhost-user-net@.socket \
daemons/units/vhost-user-scsi@.socket: daemons/units/vhost-user@.socket.in Makefile
	$(AM_V_GEN)$(unit_edit) $(srcdir)/daemons/units/vhost-user@.socket.in >$@

$(control_sockets): daemons/units/vhost-user-control@.socket.in Makefile
	$(AM_V_GEN)$(unit_edit) $(srcdir)/daemons/units/vhost-user-control@.socket.in >$@

$(sysusers_DATA): daemons/units/vhost-user.sysusers
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(srcdir)/daemons/units/vhost-user.sysusers $@

$(tmpfiles_DATA): daemons/units/vhost-user.tmpfiles.in Makefile
	$(AM_V_GEN)$(unit_edit) $(srcdir)/daemons/units/vhost-user.tmpfiles.in >$@

daemons/qemu/50-vhost-user-blk.json daemons/qemu/50-vhost-user-net.json \
daemons/qemu/50-vhost-user-scsi.json: daemons/qemu/50-vhost-user.json.in Makefile
	$(AM_V_GEN)$(unit_edit) $(srcdir)/daemons/qemu/50-vhost-user.json.in >$@

# It is found by the command's name.
$(completion_DATA): daemons/completion.bash
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(srcdir)/daemons/completion.bash $@

# Where each device's configuration is looked for.
install-data-local:
	for kind in $(unit_kinds); do $(MKDIR_P) "$(DESTDIR)$(sysconfdir)/vhost-user/$$kind" || exit 1; done
