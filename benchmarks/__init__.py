"""What uuidfs costs, as ratios from one run: ``python -m benchmarks.run``.

``tree`` builds the trees, ``disk`` says where, ``child`` runs and measures processes, ``bulk``
and ``hooks`` measure, ``calls`` holds that the bare loop makes the same system calls as uuidfs,
``limits`` judges, ``hotspots`` tells where the time goes.
"""
