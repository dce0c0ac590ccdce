"""Named tuples of arrays the kernels take; here, because compiled code remembers where its types live."""

from collections import namedtuple

Chain = namedtuple("Chain", "links parents")
"""Links after the base: offset (3), rotation (9) and joint axis (3) in the parent's frame; the parent's number."""

Skin = namedtuple("Skin", "solids solid_links touching reach spans points pairs")
"""Boxes and capsules: rows as in `body._solids`, their links, sample spheres and the pairs that may collide."""

Tips = namedtuple("Tips", "sites links groups least")
"""Contact spheres of the fingertips: centre (3) and radius, link, group (0 finger, 1 thumb), least normal force."""

Joints = namedtuple("Joints", "limits stops partners torque")
"""Limits a grasp keeps to and the joints' stops [rad], the other joint on the same tendon or -1, the largest target offset [rad]."""

HandTables = namedtuple("HandTables", "chain skin tips joints")
"""What the kernels know of a hand, float32 and int32."""

Field = namedtuple("Field", "grid dims frames")
"""Distance grids of several objects end to end; see `body._field.distance`."""

Force = namedtuple("Force", "inverse G Z U B floors rest J")
"""Lower level, per lane: inverse matrix, grasp matrix, forces, duals, scratch, sums of normals, leftover, Jacobian."""

Body = namedtuple("Body", "S counts tip_where tip_rows where row signed")
"""Scratch of the collision kernel, per lane: placed solids, and sparse rows of motion."""
