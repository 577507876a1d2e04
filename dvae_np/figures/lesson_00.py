"""Lesson 00: the whole problem in one picture."""


def problem(figure):
    """x to logits to q to z to f and back, for one image: where the chain of derivatives breaks."""
    axes = figure.subplots()
    axes.set(xlim=(0, 10.4), ylim=(0, 3.4))
    axes.axis("off")
    boxes = [
        (0.3, "x", "an image"),
        (2.3, "logits", "N x K"),
        (4.3, "q", "N x K"),
        (6.6, "z", "N categories"),
        (8.8, "f(z)", "a number"),
    ]
    for place, name, shape in boxes:
        axes.text(place + 0.5, 2.3, name, ha="center", va="center", fontsize=13,
                  bbox={"boxstyle": "round,pad=0.5", "facecolor": "#F0F0F0", "edgecolor": "black"})  # fmt: skip
        axes.text(place + 0.5, 1.65, shape, ha="center", va="center", fontsize=9, color="#444444")
    steps = [
        ("encoder", "black"),
        ("softmax", "black"),
        ("sampling", "#D55E00"),
        ("decoder", "black"),
    ]
    for (start, _, _), (end, _, _), (words, color) in zip(boxes, boxes[1:], steps, strict=False):
        axes.annotate(
            "", (end + 0.05, 2.3), (start + 1.05, 2.3), arrowprops={"arrowstyle": "->", "color": color, "lw": 1.6}
        )
        axes.text((start + end) / 2 + 0.5, 2.75, words, ha="center", fontsize=10, color=color)
        broken = words == "sampling"
        style = {
            "arrowstyle": "->",
            "color": "#D55E00" if broken else "#0072B2",
            "lw": 1.4,
            "ls": ":" if broken else "-",
        }
        axes.annotate("", (start + 1.05, 1.0), (end + 0.05, 1.0), arrowprops=style)
    axes.text(
        6.3,
        0.45,
        "no derivative here:\nlessons 04 to 13",
        ha="center",
        va="center",
        fontsize=10,
        color="#D55E00",
    )
    axes.text(
        0.8, 0.45, "gradients flow back\nby hand-written ops", ha="left", va="center", fontsize=10, color="#0072B2"
    )
