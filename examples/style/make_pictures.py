"""Draws two pictures to try style transfer with: a landscape, and a painting of nothing but brush strokes."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 512


def landscape() -> Image.Image:
    """A sky, a sun, hills behind hills and a house."""
    picture = Image.new("RGB", (SIZE, SIZE))
    draw = ImageDraw.Draw(picture)
    for y in range(SIZE):
        draw.line([(0, y), (SIZE, y)], fill=(110 + y // 4, 160 + y // 6, 230 - y // 8))
    draw.ellipse([340, 60, 430, 150], fill=(255, 235, 170))
    x = np.arange(SIZE + 1)
    for number, colour in enumerate([(120, 140, 170), (90, 130, 120), (70, 120, 70), (60, 95, 45)]):
        top = 250 + 55 * number + 40 * np.sin(x / (60 + 25 * number) + 2 * number) + 12 * np.sin(x / 17 + number)
        draw.polygon([(0, SIZE), *zip(x.tolist(), top.tolist(), strict=True), (SIZE, SIZE)], fill=colour)
    draw.rectangle([120, 330, 210, 410], fill=(225, 215, 195))
    draw.polygon([(105, 330), (165, 270), (225, 330)], fill=(150, 60, 45))
    draw.rectangle([150, 365, 175, 410], fill=(95, 65, 45))
    return picture.filter(ImageFilter.GaussianBlur(1))


def painting() -> Image.Image:
    """Strokes of blue and yellow that follow whirls."""
    draws = np.random.default_rng(1)
    whirls = [(draws.uniform(0, SIZE, 2), draws.uniform(35, 80), draws.choice([-1.0, 1.0])) for _ in range(9)]
    colours = np.array([(20, 30, 90), (40, 80, 160), (80, 140, 200), (170, 205, 215), (240, 200, 70), (250, 235, 160)])
    picture = Image.new("RGB", (SIZE, SIZE), (25, 40, 100))
    draw = ImageDraw.Draw(picture)
    for place in draws.uniform(0, SIZE, (9000, 2)):
        near = [np.exp(-np.sum((place - middle) ** 2) / (2 * reach**2)) for middle, reach, _ in whirls]
        glow = max(near) + draws.normal(0, 0.16)
        shade = int(np.clip(glow * len(colours), 0, len(colours) - 1))
        fill = tuple(np.clip(colours[shade] + draws.normal(0, 14, 3), 0, 255).astype(int).tolist())
        draw.line(_stroke(place, whirls, near), fill=fill, width=int(draws.integers(3, 6)))
    return picture


def _stroke(place: np.ndarray, whirls: list, near: list) -> list[tuple[float, float]]:
    points = [tuple(place)]
    for _ in range(6):
        way = np.array([1.0, 0.15])
        for (middle, _, turn), share in zip(whirls, near, strict=True):
            away = place - middle
            way = way + 6 * share * turn * np.array([-away[1], away[0]]) / (np.linalg.norm(away) + 1)
        place = place + 4 * way / np.linalg.norm(way)
        points.append(tuple(place))
    return points


if __name__ == "__main__":
    for name, picture in (("landscape", landscape()), ("strokes", painting())):
        picture.resize((400, 400), Image.Resampling.LANCZOS).save(Path(f"{name}.jpg"), quality=75)
