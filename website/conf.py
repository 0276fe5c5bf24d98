"""Settings of Sphinx. Everything that pages load is in the site: no fonts or scripts of other servers."""

from __future__ import annotations

from heritage.core.version import __version__

project = "heritage"
author = "the heritage contributors"
project_copyright = "the heritage contributors, Apache-2.0"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns: list[str] = []
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
nb_execution_mode = "off"  # website/notebooks.py has executed them
nb_merge_streams = True
nb_render_markdown_format = "myst"  # with tables
nb_output_stderr = "remove"  # progress bars
myst_enable_extensions = ["attrs_block"]
myst_heading_anchors = 4
default_role = "py:obj"

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
maximum_signature_line_length = 88

html_theme = "furo"
html_title = "heritage"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
pygments_style = "tango"
pygments_dark_style = "monokai"
