# make demo   a plain host and one with uuidfs, side by side; as root with libvirt, real ones
# make test   set up, then all tests; those that need root or libvirt skip where it is missing
# make test-debian   unit and property tests on Debian's own python3-* packages
# make test-trixie   the live tests on Debian 13 (libvirt 11.3) in a chroot; not in .ci/run
# make test-modular  guests move on virtqemud, which is built from Debian's source; root, network
# make test-packages  both packages in clean Debians 12 and 13, every kill; half an hour
# make test-piuparts  the deb in minimal Debians 12 and 13, by piuparts; root, network, ten minutes
# make test-power  the power cut between any two writes to a disk; root, loop devices, FUSE; long
# make test-host [SUITE=trixie]  a booted Debian with AppArmor, or trixie-selinux; root, network; an hour
# make test-page  the page of Cockpit, in a real Cockpit and a headless Chromium; root
# make test-exhaustion  every interleaving of some operations, the long scenarios too
# make facts  what shows a row of docs/libvirt-facts.md, on this machine's libvirt; root
# make test-typed [SUITE=trixie]  every line that README and docs say to type, in clean chroots; root, network
# make deb-needs  what `make deb` needs, by apt-get build-dep; root
# make rpm-needs  what `make rpm` needs, by dnf builddep; root
# make deb    the Debian package, in dist/deb
# make rpm    the RPM package, in dist/rpm
# make bench  the figures of docs/performance.md

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: demo test lint facts test-debian test-trixie test-modular test-packages test-package-short test-piuparts test-power test-page test-host test-exhaustion test-typed deb-needs rpm-needs deb rpm bench clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --editable '.[dev]'
	touch $@

demo:
	@PYTHON=$(PYTHON) tests/demo/run

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-debian:
	/usr/bin/python3 -m pytest -p no:cacheprovider tests/unit tests/property $(PYTEST_ARGS)

test-trixie:
	tests/chroot/run trixie tests/unit tests/property tests/live

MODULAR := build/modular
$(MODULAR)/virtqemud: tests/modular/build-virtqemud
	mkdir -p $(MODULAR)
	tests/modular/build-virtqemud $(MODULAR)
test-modular: $(STAMP) $(MODULAR)/virtqemud
	UUIDFS_LIVE_DAEMON=$(CURDIR)/$(MODULAR)/virtqemud \
	    $(BIN)/python -m pytest tests/live/test_local_migration.py \
	    tests/live/test_migration_devices.py tests/live/test_migration_names.py $(PYTEST_ARGS)

# What .ci/run has time for.
SHORT := installed_and_purged or never_saw or foreign or upgrade_converts or an_installation \
    or (another_layout_leaves and systemd) or packs_up or (a_removal and not taken_back)
test-package-short:
	UUIDFS_PACKAGE_STEPS=20 tests/package/run bookworm -q tests/package/chroot -k "$(SHORT)"

test-packages: $(STAMP)
	tests/package/run bookworm
	tests/package/run trixie
	tests/package/run bookworm --installed tests/live
	tests/package/run trixie --installed tests/live
	$(BIN)/python -m pytest tests/package

test-piuparts:
	tests/package/piuparts bookworm
	tests/package/piuparts trixie

test-power: $(STAMP)
	UUIDFS_POWER=1 $(BIN)/python -m pytest -s tests/powercut $(PYTEST_ARGS)

test-page: $(STAMP)
	$(BIN)/python -m pytest tests/page $(PYTEST_ARGS)

SUITE ?= trixie
test-host: $(STAMP)
	UUIDFS_HOST=$(SUITE) $(BIN)/python -m pytest -s tests/host $(PYTEST_ARGS)

test-exhaustion: $(STAMP)
	UUIDFS_EXHAUSTION=all $(BIN)/python -m pytest tests/exhaustion $(PYTEST_ARGS)

test-typed: SUITE := bookworm
test-typed: $(STAMP)
	UUIDFS_FULL_MATRIX=1 tests/chroot/run $(SUITE) tests/typed/test_on_a_host.py $(PYTEST_ARGS)
	UUIDFS_TYPED=$(SUITE) $(BIN)/python -m pytest tests/typed/test_in_a_clean_chroot.py $(PYTEST_ARGS)

facts: $(STAMP)
	@$(BIN)/python -m tests.facts

deb-needs:
	mkdir -p build/needs/debian
	cp packaging/deb/control build/needs/debian
	cd build/needs && apt-get build-dep --yes --no-install-recommends .

rpm-needs:
	dnf builddep --assumeyes packaging/rpm/uuidfs.spec

deb:
	packaging/build-deb dist/deb

rpm:
	packaging/build-rpm dist/rpm

bench: $(STAMP)
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
