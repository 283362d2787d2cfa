"""The figures of the page: each module turns results into one kind of Plotly figure."""
