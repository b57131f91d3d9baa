"""What gdb shows of tensors and of the tape.

    gdb -x tools/gdb/retrace.py PROGRAM          or, inside of gdb: source tools/gdb/retrace.py

`print` then knows Shape, DType, Tensor, Edge, Node, Step and the references to them. Numbers are
read from memory, of a view along its strides. The texts of a node are virtual, so the program is
called for them; where it cannot be, as with a core dump or by gdb 13 on processors with AMX, the
class of the node stands for its name.
"""

import struct

import gdb
import gdb.printing

ROWS, COLUMNS = 6, 8  # of a larger tensor, so many along the last dims; 1 along the others
DTYPES = {0: ("float32", "f", 4), 1: ("float64", "d", 8), 2: ("int64", "q", 8), 3: ("bool", "?", 1)}


# Reading memory -----------------------------------------------------------------------------------

def pointer_at(value):
    """The address that an object begins with: a Ref, a unique_ptr."""
    return int(value.address.cast(gdb.lookup_type("long").pointer()).dereference())


def at(address, type_name):
    return gdb.Value(address).cast(gdb.lookup_type(type_name).pointer()).dereference()


def member(address, name):
    """Of a Node: asked for as gdb does it, a class that was not compiled in would be warned of."""
    field = next(f for f in gdb.lookup_type("retrace::Node").fields() if f.name == name)
    return gdb.Value(address + field.bitpos // 8).cast(field.type.pointer()).dereference()


def vector(value):
    first, last = value["_M_impl"]["_M_start"], value["_M_impl"]["_M_finish"]
    return [first[i] for i in range(int(last - first))]


def small_vector(value):
    more = pointer_at(value["more_"])
    few = value["few_"]
    first = gdb.Value(more or int(few.address)).cast(few.type.target().pointer())
    return [first[i] for i in range(int(value["size_"]))]


def numbers(shape):
    size = int(shape["size_"])
    if not 0 <= size <= 8:
        raise ValueError("no shape: {} dims".format(size))
    return [int(shape["values_"][i]) for i in range(size)]


def number_text(value, code):
    """The fewest digits that read back the same."""
    if code == "f" and value == value and abs(value) != float("inf"):
        for digits in range(6, 10):
            text = "{:.{}g}".format(value, digits)
            if struct.pack("f", float(text)) == struct.pack("f", value):
                return text
    return "{:.17g}".format(value) if code == "f" else str(value)


# Tensors ------------------------------------------------------------------------------------------

def values_text(data, sizes):
    """Elements in nested brackets, along the strides; `...` for those that are left out."""
    _, code, width = DTYPES[int(data["dtype"])]
    first, strides = int(data["data"]), numbers(data["strides"])
    inferior = gdb.selected_inferior()
    is_large = int(data["numel"]) > ROWS * COLUMNS

    def nested(address, dim):
        if dim == len(sizes):
            memory = inferior.read_memory(address, width)
            return number_text(struct.unpack(code, memory)[0], code)
        most = sizes[dim]
        if is_large:
            from_end = len(sizes) - dim
            most = {1: COLUMNS, 2: ROWS}.get(from_end, 1)
        shown = [nested(address + i * strides[dim] * width, dim + 1)
                 for i in range(min(most, sizes[dim]))]
        return "[" + ", ".join(shown + ["..."] * (sizes[dim] > most)) + "]"

    return nested(first, 0)


def tensor_text(address):
    """`address`: of a TensorData."""
    if address == 0:
        return "undefined"
    data = at(address, "retrace::TensorData")
    sizes = numbers(data["sizes"])
    text = "{} {} = {}".format(DTYPES[int(data["dtype"])][0], sizes, values_text(data, sizes))
    producer = pointer_at(data["producer"])
    if producer:
        text += ", from " + node_label(producer)
    elif data["requires_grad"]:
        text += ", requires_grad"
    return text


# Nodes --------------------------------------------------------------------------------------------

def ask(address, function):
    """A text that the node gives when it is called; "" where no program runs."""
    try:
        call = "set $_retrace_text = ((retrace::Node*){})->{}()".format(address, function)
        gdb.execute(call, to_string=True)  # keeps warnings about types that were not compiled in
        text = gdb.convenience_variable("_retrace_text")
        length = int(text["_M_len"])
        return text["_M_str"].string("utf-8", "replace", length) if length else ""
    except gdb.error:
        return ""


def class_of(address):
    """From the symbol of its vtable: "Sigmoid"."""
    table = int(at(address, "long"))
    symbol = gdb.execute("info symbol {}".format(table), to_string=True)
    if "vtable for " not in symbol:
        raise ValueError("no node")
    name = symbol.split("vtable for ")[1].split(" in section")[0].rsplit(" + ", 1)[0]
    return name.replace("(anonymous namespace)::", "").replace("retrace::", "").strip()


def node_label(address):
    name = class_of(address)  # first: what is no node is not called
    return "{} #{}".format(ask(address, "name") or name, int(member(address, "number_")))


def edge_text(edge):
    node, leaf, output = pointer_at(edge["node"]), pointer_at(edge["leaf"]), int(edge["output"])
    if node:
        return node_label(node) + (" result {}".format(output) if output else "")
    return "leaf " + tensor_text(leaf) if leaf else "wants no gradient"


def kept_name(source):
    if source >= 0:
        return "saved input {}".format(source)
    return "saved extra" if source == -1 else "saved output {}".format(-2 - source)


def line(title, text):
    return "\n  {}: {}".format(title, text) if text else ""


def inputs_text(address):
    edges = small_vector(member(address, "edges_"))
    return "".join(line("input {}".format(i), edge_text(edge)) for i, edge in enumerate(edges))


def rule_text(address):
    return line("formula", ask(address, "formula_text")) + line(
        "gradient", ask(address, "gradient_text"))


def node_text(address):
    """Its name, then what it is made of, a line each."""
    text = node_label(address) + rule_text(address) + inputs_text(address)
    outputs = [(member(address, "dtype_"), member(address, "sizes_"))]
    more = vector(member(address, "other_outputs_"))
    outputs += [(other["dtype"], other["sizes"]) for other in more]
    for k, (dtype, sizes) in enumerate(outputs):
        text += line("output {}".format(k), "{} {}".format(DTYPES[int(dtype)][0], numbers(sizes)))
    if member(address, "released_"):
        text += line("saved", "freed by an earlier backward")
    for kept in small_vector(member(address, "saved_")):
        text += line(kept_name(int(kept["source"])), tensor_text(pointer_at(kept["tensor"])))
    return text


def step_text(step):
    address = pointer_at(step["node"])
    if not address:
        return "no node took a step"
    text = node_label(address) + rule_text(address) + inputs_text(address)
    for i, tensor in enumerate(vector(step["upstream"])):
        text += line("upstream of output {}".format(i), tensor_text(pointer_at(tensor)))
    titles = {"local": "local derivative by input {}", "unsummed": "unsummed gradient of input {}",
              "gradients": "gradient of input {}"}
    lists = {member: vector(step[member]) for member in titles}
    for i in range(len(lists["gradients"])):
        for member, title in titles.items():
            tensor = pointer_at(lists[member][i])
            text += line(title.format(i), tensor_text(tensor) if tensor else "")
    return text


# Printers -----------------------------------------------------------------------------------------

def label_or(nothing):
    return lambda ref: node_label(pointer_at(ref)) if pointer_at(ref) else nothing


TEXTS = {
    "retrace::Shape": lambda shape: str(numbers(shape)),
    "retrace::DType": lambda dtype: DTYPES[int(dtype)][0],
    "retrace::Tensor": lambda tensor: tensor_text(pointer_at(tensor)),
    "retrace::TensorData": lambda data: tensor_text(int(data.address)),
    "retrace::Ref<retrace::TensorData>": lambda ref: tensor_text(pointer_at(ref)),
    "retrace::Ref<retrace::Node>": label_or("no node"),
    "retrace::Edge": edge_text,
    "retrace::Node": lambda node: node_text(int(node.address)),
    "retrace::Node*": lambda node: "{}: {}".format(hex(int(node)), node_label(int(node))),
    "retrace::Step": step_text,
}


def printable(text):
    """A terminal without Unicode gets a ? where it has no letter."""
    charset = gdb.host_charset() if hasattr(gdb, "host_charset") else "utf-8"
    return text.encode(charset, "replace").decode(charset)


class List:
    """Of a SmallVector."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        return "of size {}".format(int(self.value["size_"]))

    def children(self):
        return ((str(i), each) for i, each in enumerate(small_vector(self.value)))

    def display_hint(self):
        return "array"


class Printer:
    def __init__(self, value, make):
        self.value, self.make = value, make

    def to_string(self):
        try:
            return printable(self.make(self.value))
        except (gdb.error, ValueError, KeyError, OverflowError) as error:
            # Not constructed yet, or overwritten.
            is_pointer = self.value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR
            where = hex(int(self.value)) + ": " if is_pointer else ""
            return "{}<not readable: {}>".format(where, error)


def is_node(kind):
    if kind.code != gdb.TYPE_CODE_STRUCT:
        return False
    return kind.name == "retrace::Node" or any(
        field.is_base_class and is_node(field.type) for field in kind.fields())


def printer_of(value):
    kind = value.type.strip_typedefs().unqualified()
    if kind.code == gdb.TYPE_CODE_PTR:
        target = kind.target().strip_typedefs().unqualified()
        is_shown = is_node(target) and int(value) != 0
        return Printer(value, TEXTS["retrace::Node*"]) if is_shown else None
    if kind.name is None or not kind.name.startswith("retrace::"):
        return None
    if kind.name.startswith("retrace::SmallVector<"):
        return List(value)
    make = TEXTS.get("retrace::Node" if is_node(kind) else kind.name)
    return Printer(value, make) if make else None


printer_of.name, printer_of.enabled = "retrace", True
gdb.printing.register_pretty_printer(None, printer_of, replace=True)
