"""What mkdocs is told beside `mkdocs.yml`: pages from outside docs/, links that leave it, equations, notebooks.

Pages lie where they belong in the repository and link to each other as files, so that they can be read on a git host.
"""

import html
import json
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
OUTSIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "figures/README.md")  # shown under these addresses, too


def notebook(path: Path) -> str:
    """Return a notebook as Markdown: its text, and its cells of code as blocks."""
    cells = json.loads(path.read_text())["cells"]
    texts = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    texts += [("markdown", f"[This notebook as a file]({path.name})")]
    return "\n\n".join(f"```python\n{text}\n```" if kind == "code" else text for kind, text in texts)


def on_files(files, config):
    """Add the pages and pictures that lie outside docs/, and the notebooks as pages."""
    for name in OUTSIDE:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for path in sorted((ROOT / "figures").glob("*.png")):
        files.append(File.generated(config, f"figures/{path.name}", abs_src_path=str(path)))
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=notebook(path)))
    return files


def on_page_markdown(markdown, page, **_):
    """Let links that lead out of docs/, or into it, lead to the pages of the site."""
    if page.file.src_uri in OUTSIDE:
        return markdown.replace("](docs/", "](")
    up = "../" * page.file.src_uri.count("/")
    return markdown.replace(f"](../{up}", f"]({up}")


def on_page_content(content, page, **_):
    """Write equations as MathML, which browsers draw without a library; leave source code out of the search."""

    def mathml(match):
        return convert(html.unescape(match[2]), display="block" if match[1] == "div" else "inline")

    def plain(items):
        for item in items:
            item.title = re.sub(r"\\[()|]", lambda m: "|" if m[0] == r"\|" else "", item.title)
            plain(item.children)

    plain(page.toc)
    content = content.replace(
        '<details class="mkdocstrings-source"', '<details data-search-exclude class="mkdocstrings-source"'
    )
    return re.sub(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', mathml, content, flags=re.DOTALL)
